"""The commands of `cookbook`, one module for each family. They parse and print; what they do is in the helpers.

What takes long to import is imported by the command that needs it: `cookbook --help` answers at once.
"""
