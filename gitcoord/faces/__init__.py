"""Faces: parse what comes in, make one call, print what comes out."""
