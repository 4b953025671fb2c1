"""Settings: what an installer may set, with its defaults and bounds.

Responsible for: the typed schema, the commented default file and reading a settings file with
errors that name the file and the key. Not responsible for: acting on a setting; only command line
modules read settings, everybody else is handed values.
"""
