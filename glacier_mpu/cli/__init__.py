"""One run of a script, from its flags to its exit code. Words for people live only here.

The scripts use `main` and `flags`; nothing else imports this wing.
"""
