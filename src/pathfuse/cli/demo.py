"""placeholder"""


def demo(): ...
