"""The studio: label tracked films on a page, train trees on the labels, and correct.

A project is a folder with tracks, films and labels of any known format. What the
studio needs lies below it in ``mabe/``, which is a data set in the standard layout and
usable by every command; its own files are in ``mabe/studio/``.
"""
