"""The trade-off as a page, plots and tables, from the records on disk or from MLflow.

``sources.read`` reads the runs. ``contents.build`` makes the contents of the report as plain values. ``plots`` draws
each chart once, for the page and for files. ``files.write`` puts all files into a folder.
"""
