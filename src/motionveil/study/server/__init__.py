"""The web server of a study: pages for participants and for the administrator."""
