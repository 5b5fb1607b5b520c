"""This machine: the desk with its outbox, who sits in this work tree, hook folders."""
