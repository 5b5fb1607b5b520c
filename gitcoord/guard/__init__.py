"""May these files be written, committed, pushed?"""
