"""Settings for a user's own table, proposed from its first rows: what columns hold, what they are for, the file.

``look`` reads rows with the readers that a run uses, ``propose`` chooses, ``text`` writes the settings file.
"""
