import json

import pytest

from openrembg.server.inference.backend import bridge_command, environment_for_ray
from openrembg.server.inference.bridge_process import read_terms
from openrembg.server.inference.replicas import Replicas, UnknownArgument, read_replicas
from openrembg.server.settings import Settings


def test_arguments_are_read_by_their_names() -> None:
    replicas = read_replicas({"max_replicas": 9, "cpus": 2.5, "model": "mine"})
    assert replicas == Replicas(max_replicas=9, cpus=2.5, model="mine")
    assert replicas.threads == 2
    assert read_replicas({"cpus": 0.5}).threads == 1


def test_an_argument_that_nobody_reads_is_refused() -> None:
    with pytest.raises(UnknownArgument, match="replica_cpus"):
        read_replicas({"replica_cpus": 2})


def test_a_bridge_knows_what_the_settings_say_and_no_secret() -> None:
    settings = Settings(
        inference="ray",
        ray_address="10.0.0.1:6379",
        ray_max_replicas=7,
        secret_key="never to be seen anywhere",
        stripe_secret_key="sk_never",
    )
    command = bridge_command(settings, 5)
    terms = read_terms(command[-1])
    assert (terms.socket, terms.address, terms.timeout_s) == (5, "10.0.0.1:6379", 30)
    assert terms.replicas == settings.replicas
    assert terms.replicas.max_replicas == 7
    assert "never" not in json.dumps(command)


def test_a_bridge_gets_of_the_environment_what_ray_needs_alone() -> None:
    environ = {"SECRET_KEY": "1", "DATABASE_URL_FILE": "2", "AWS_SECRET": "3", "https_proxy": "4"}
    kept = {"RAY_AUTH_TOKEN": "5", "PATH": "6", "LC_ALL": "7", "CUDA_VISIBLE_DEVICES": "8"}
    assert environment_for_ray({**environ, **kept}) == kept
