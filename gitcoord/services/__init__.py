"""The services outside that a relay talks with: one small class each."""
