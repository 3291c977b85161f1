"""The sections of the report's page; each file gives some, as safe HTML text."""
