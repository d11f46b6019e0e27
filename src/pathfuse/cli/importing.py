"""placeholder"""


def import_(): ...
