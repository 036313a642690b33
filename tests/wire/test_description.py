"""schemathesis reads the server's own description and asks whatever comes to its mind."""


import pytest

pytestmark = pytest.mark.wire
