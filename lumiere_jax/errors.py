"""The one error that a user's input can cause."""


class UserError(Exception):
    """Something in the input is wrong: one sentence with the file, the value and the remedy.

    The scripts print the sentence and exit with 2; anything else that is raised is a defect.
    """
