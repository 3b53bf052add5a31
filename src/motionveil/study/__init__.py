"""A user study: can people tell who a veiled video shows?"""
