"""The guide: what scores, files, settings and errors mean here, made from the tables that the code itself uses."""
