"""All that knows Ray: the replicas, and a cluster as the bridge uses it.

On KubeRay a RayService deploys the application itself, with the import path
`openrembg.server.inference.ray_serve:build` and the fields of Replicas as its arguments.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace as replacing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import ray
from ray import serve
from ray.exceptions import AuthenticationError, RayError, RayTaskError
from ray.serve._private import replica as replica_module
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
)
from ray.serve.schema import ApplicationStatus, LoggingConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from openrembg.folders import default_data_dir
from openrembg.matting.decode import Source
from openrembg.matting.errors import ImageError, MattingError
from openrembg.matting.runtime import LocalMatter, load_matter
from openrembg.matting.tuning import tune_process
from openrembg.matting.weights import find_weights
from openrembg.server.inference.bridge import AttemptFailed, ClusterAway, Made, ReplicaLost
from openrembg.server.inference.frames import VERSION, Identity, Verdict
from openrembg.server.inference.own_node import OwnNode, address_towards
from openrembg.server.inference.replicas import APPLICATION, DEPLOYMENT, Replicas, read_replicas
from openrembg.server.inference.session_folder import SessionFolder

if TYPE_CHECKING:
    from openrembg.server.inference.bridge_process import Terms

REACH_S: Final = 3.0
JOIN_S: Final = 180.0
# How long a look may take before the cluster counts as away, and before this bridge gives up.
LOOK_S: Final = 8.0
GIVE_UP_S: Final = 20.0
# While mattes come, the cluster is there; only the number of replicas has to be asked for.
COUNT_EVERY_S: Final = 10.0
LATELY_S: Final = 4.0
IDENTITY_S: Final = 10.0
IDENTIFY_EVERY_S: Final = 30.0
CHECK_S: Final = 120.0
DEPLOY_S: Final = 600.0
# From then on, replicas that do not come are a failure and no longer a beginning.
STARTING_S: Final = 60.0
PRIVATE_STORE_BYTES: Final = 512 << 20

logger = logging.getLogger("openrembg.ray")


class Replica:
    """One copy of the model on some host. Its answers are tuples that begin with the version."""

    def __init__(self, replicas: Replicas) -> None:
        _open_no_port()
        tune_process()
        self._matter = _load(replicas)
        self._pool = ThreadPoolExecutor(replicas.calls)

    async def identity(self) -> tuple[int, str, str, str]:
        """Return the version, and what computes here: model, provider, precision."""
        matter = self._matter
        return VERSION, matter.model, matter.provider, matter.precision

    async def __call__(self, data: bytes) -> tuple[object, ...]:
        """Return the matte of a picture's file, or the name of the error that there is none for.

        `(version, "matte", float32 bytes, (height, width), detected, model, provider, precision)`,
        or `(version, "error", name of a MattingError, its words)`.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._made, data)

    def _made(self, data: bytes) -> tuple[object, ...]:
        try:
            matte = self._matter.matte(Source(data))
        except MattingError as error:
            kind = "undecodable" if isinstance(error, ImageError) else "failed"
            return VERSION, "error", kind, str(error)
        alpha, matter = matte.alpha, self._matter
        names = matter.model, matter.provider, matter.precision
        return VERSION, "matte", alpha.tobytes(), alpha.shape, matte.detected, *names


def build(arguments: dict[str, Any]) -> serve.Application:
    """Return the application that a RayService's arguments describe. Raises UnknownArgument."""
    return application(read_replicas(arguments))


def application(replicas: Replicas) -> serve.Application:
    """Return the application: replicas of one deployment, as many as the pictures need."""
    wrapped: Any = serve.deployment(
        name=DEPLOYMENT,
        max_ongoing_requests=replicas.calls,
        max_queued_requests=replicas.queue,
        autoscaling_config={
            "min_replicas": replicas.min_replicas,
            "max_replicas": replicas.max_replicas,
            # Below what a replica takes, so that another one starts before pictures are refused.
            "target_ongoing_requests": 0.7 * replicas.calls,
            "look_back_period_s": 10,
            "upscale_delay_s": 5,
            "downscale_delay_s": 300,
        },
        ray_actor_options={"num_cpus": replicas.cpus, "num_gpus": replicas.gpus},
        graceful_shutdown_timeout_s=replicas.timeout_s,
        health_check_period_s=3,
        health_check_timeout_s=15,
        logging_config=LoggingConfig(encoding="JSON", log_level="WARNING", enable_access_log=False),
    )
    bound: serve.Application = wrapped(Replica).bind(replicas)
    return bound


class RayCluster:
    """A Ray cluster, or a Ray of this host's own, as the bridge uses it."""

    def __init__(self, terms: "Terms") -> None:
        self._terms = terms
        self._handle: Any = None
        self._node: OwnNode | None = None
        # One thread that lives as long as this process: what Ray starts ends with its thread.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ray")
        self._asking: asyncio.Future[Any] | None = None
        self._answered_at = time.monotonic()
        self._made_at = 0.0
        self._joined_at = 0.0
        self._folder: SessionFolder | None = None
        self._under_way = 0
        self._identified_at = 0.0
        self._was_running = False
        self._by: Identity | None = None
        self._verdict = Verdict("loading", "The replicas are starting.")

    @property
    def _name(self) -> str:
        address = self._terms.address
        return f"The Ray cluster at {address}" if address else "The Ray of this server"

    async def unreachable(self) -> str:
        """Return why nobody answers at the cluster's address, empty when somebody does."""
        if not self._terms.address:
            return ""
        host, _, port = self._terms.address.rpartition(":")
        try:
            where = (host.strip("[]"), int(port))
            await asyncio.to_thread(lambda: socket.create_connection(where, REACH_S).close())
        except OSError:
            return f"{self._name} cannot be reached."
        return ""

    async def join(self, *, deploys: bool = True) -> None:
        """Join the cluster and find the replicas, or start them. Raises ClusterAway.

        deploys: whether it may start them, where the terms let it.
        """
        try:
            await self._in_thread(self._join, deploys and self._terms.deploys)
        except AuthenticationError as error:
            raise ClusterAway(f"{self._name} refuses this server's token.", str(error)) from error
        except ClusterAway:
            raise
        except Exception as error:  # Ray raises anything
            raise ClusterAway(f"{self._name} cannot be joined.", _words(error)) from error
        self._joined_at = self._answered_at = time.monotonic()

    async def replace(self) -> int:
        """Join, and start the replicas or replace those that run; return how many run then.

        It returns when all that ran before are replaced. Raises ClusterAway, before anything is
        changed if the model does not run on some host.
        """
        if reason := await self.unreachable():
            raise ClusterAway(reason)
        await self.join(deploys=False)
        await self._in_thread(self._check_hosts)
        await self._in_thread(self._deploy)
        deadline = time.monotonic() + DEPLOY_S
        while True:
            application = (await self._in_thread(serve.status)).applications[APPLICATION]
            states = application.deployments[DEPLOYMENT].replica_states
            if application.status == ApplicationStatus.RUNNING:
                return int(states.get("RUNNING", 0))
            if application.status == ApplicationStatus.DEPLOY_FAILED:
                now = f"{states.get('RUNNING', 0)} run now, before or after this change."
                raise ClusterAway(f"The replicas do not start; {now}", _trouble_of(application))
            if time.monotonic() > deadline:
                now = f"{states.get('RUNNING', 0)} run now, before or after this change."
                raise ClusterAway(f"The replicas do not all run after {DEPLOY_S:.0f} s; {now}")
            await asyncio.sleep(1)

    async def look(self) -> Verdict:
        """Return how the cluster stands. Raises ClusterAway when it has not answered for long."""
        now = time.monotonic()
        if now - self._made_at < LATELY_S and now - self._answered_at < COUNT_EVERY_S:
            return self._verdict
        self._verdict = await self._looked()
        return self._verdict

    async def attempt(self, data: bytes, taken: Callable[[], None]) -> Made:
        """Ask one replica for the matte of a picture's file. Raises AttemptFailed.

        taken: called when a replica has it.
        """
        if self._handle is None:
            raise AttemptFailed("lost", "the cluster is not joined yet")
        self._under_way += 1
        try:
            return await self._attempt(self._handle.remote(data), taken)
        finally:
            self._under_way -= 1

    async def answers(self) -> bool:
        """Return whether a replica says what it is."""
        try:
            await self._ask_identity()
        except AttemptFailed:
            return False
        return True

    async def _attempt(self, response: Any, taken: Callable[[], None]) -> Made:
        try:
            # Serve answers this when a replica has accepted the call, and not when it is queued.
            await response._to_object_ref()
            taken()
            answer = await response
        except BackPressureError as error:
            raise AttemptFailed("busy", "the queue of the cluster is full") from error
        except DeploymentUnavailableError as error:
            raise AttemptFailed("lost", _words(error)) from error
        except RayTaskError as error:
            raise AttemptFailed("failed", _words(error)) from error
        except Exception as error:  # lost replicas, hosts, objects; Ray raises anything
            raise ReplicaLost("lost", f"{type(error).__name__}: {_words(error)}") from error
        self._made_at = time.monotonic()
        return self._read(answer)

    def leave(self) -> None:
        """Leave the cluster, and end what was started on this host."""
        ray.shutdown()
        if self._node is not None:
            self._node.stop()
        if self._folder is not None:
            self._folder.remove()

    def _read(self, answer: Any) -> Made:
        """Return what a replica said. Raises AttemptFailed."""
        if not isinstance(answer, tuple) or not answer or answer[0] != VERSION:
            raise AttemptFailed("another_version", f"a replica speaks version {answer[:1]}")
        if answer[1] == "error":
            raise AttemptFailed(answer[2], str(answer[3]))
        _, _, alpha, shape, detected, *names = answer
        self._by = Identity(*names)
        by = {"model": names[0], "provider": names[1], "precision": names[2]}
        return Made({"shape": shape, "detected": bool(detected), **by}, alpha)

    async def _in_thread(self, call: Any, *arguments: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def _join(self, deploys: bool) -> None:
        if self._terms.address:
            self._connect()
        else:
            self._start_own_ray()
        if deploys and not serve.status().applications.get(APPLICATION):
            self._deploy()

    def _start_own_ray(self) -> None:
        self._folder = SessionFolder()
        ray.init(
            address="local",
            _node_ip_address="127.0.0.1",
            _temp_dir=str(self._folder.path),
            num_cpus=self._terms.cpus,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            object_store_memory=PRIVATE_STORE_BYTES,
        )

    def _connect(self) -> None:
        own_ip = address_towards(self._terms.address)
        deadline = time.monotonic() + JOIN_S
        while (node_ip := self._raylet_here(own_ip)) is None:
            self._node = self._node or OwnNode(self._terms.address, own_ip)
            if not self._node.start() or time.monotonic() > deadline:
                raise ClusterAway(f"{self._name} does not take this host as a node.")
            time.sleep(0.5)
        ray.init(
            address=self._terms.address,
            _node_ip_address=node_ip,
            log_to_driver=False,
            configure_logging=False,
        )

    def _raylet_here(self, own_ip: str) -> str | None:
        """Return the address of the cluster's node on this host, None where there is none."""
        raylet: Any = ray._raylet
        names = {own_ip}
        if own_ip.startswith("127."):
            find: Any = ray.util.get_node_ip_address
            names.add(find())  # what Ray takes in the place of a loopback
        client = raylet.GcsClient(address=self._terms.address)
        nodes = client.get_all_node_info(timeout=REACH_S).values()
        here = [n for n in nodes if n.state == 0 and n.node_manager_address in names]
        # The cluster misses a dead node after a minute; whoever is asked himself knows better.
        return next((n.node_manager_address for n in here if _is_alive(n)), None)

    def _check_hosts(self) -> None:
        """Load the model once on every host that can have a replica. Raises ClusterAway."""
        wanted = self._terms.replicas
        task: Any = ray.remote(max_calls=1, max_retries=0, num_cpus=0)(load_once)
        asked = {}
        list_nodes: Any = ray.nodes
        for node in list_nodes():
            has = node["Resources"]
            if not node["Alive"] or not has.get("CPU") or has.get("GPU", 0) < wanted.gpus:
                continue
            here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked[task.options(scheduling_strategy=here).remote(wanted)] = node
        done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=CHECK_S)
        for reference, node in asked.items():
            trouble = f"It is not loaded after {CHECK_S:.0f} s."
            if reference in done:
                trouble = _trouble_on(reference)
            if trouble:
                where = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
                reason = f"The model does not run on {where}, so nothing was changed."
                raise ClusterAway(reason, trouble)

    def _deploy(self) -> None:
        serve.start(proxy_location="Disabled")
        target = serve.RunTarget(
            application(self._terms.replicas), name=APPLICATION, route_prefix=None
        )
        serve.run_many([target], wait_for_applications_running=False)

    async def _looked(self) -> Verdict:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._in_thread(serve.status))
        await asyncio.wait([self._asking], timeout=LOOK_S)
        if not self._asking.done() or self._asking.exception() is not None:
            return await self._silent()
        self._answered_at = time.monotonic()
        application = self._asking.result().applications.get(APPLICATION)
        if application is None:
            return await self._without_application()
        return await self._judge(application)

    async def _silent(self) -> Verdict:
        """Return what to think of a cluster that does not answer. Raises ClusterAway."""
        silent_s = time.monotonic() - max(self._answered_at, self._made_at)
        if silent_s < LOOK_S:
            return self._verdict
        reason = await self.unreachable() or f"{self._name} does not answer."
        if silent_s >= GIVE_UP_S:
            raise ClusterAway(reason)
        return Verdict("failed", reason)

    async def _without_application(self) -> Verdict:
        if self._terms.deploys:
            await self._in_thread(self._deploy)
            return Verdict("loading", "The replicas are starting.")
        return Verdict("failed", f"{self._name} runs no application named {APPLICATION}.")

    async def _judge(self, application: Any) -> Verdict:
        deployment = application.deployments.get(DEPLOYMENT)
        states = {} if deployment is None else deployment.replica_states
        running = states.get("RUNNING", 0)
        if not running:
            self._was_running = False
            ends = states.get("STOPPING", 0) + states.get("STOPPED", 0)
            return self._none_running(application, sum(states.values()) - ends)
        is_running = application.status == ApplicationStatus.RUNNING
        if self._must_ask(is_news=is_running and not self._was_running):
            try:
                await self._ask_identity()
            except AttemptFailed as error:
                return Verdict("failed", "The replicas do not answer.", error.detail, None, running)
        self._was_running = is_running
        return Verdict("ready", by=self._by, replicas=running)

    def _must_ask(self, *, is_news: bool) -> bool:
        """Return whether a replica is to be asked what it is; each matte says that too."""
        if self._by is None:
            return True
        is_old = time.monotonic() - self._identified_at > IDENTIFY_EVERY_S
        return not self._under_way and (is_news or is_old)

    def _none_running(self, application: Any, wanted: int) -> Verdict:
        if application.status == ApplicationStatus.DEPLOY_FAILED:
            reason = "The replicas do not start; the server's log says why."
            return Verdict("failed", reason, _trouble_of(application), None, 0)
        wanted = max(wanted, self._terms.replicas.min_replicas)
        begins = self._by is None and time.monotonic() - self._joined_at < STARTING_S
        detail = _trouble_of(application)
        # So Serve says it, half a minute after the fact.
        has_no_room = "to be scheduled" in detail
        why = "; the cluster has no room for them" if has_no_room else ""
        reason = f"No replica is running yet: 0 of {wanted}{why}."
        is_loading = begins and not has_no_room
        return Verdict("loading" if is_loading else "failed", reason, detail, None, 0)

    async def _ask_identity(self) -> None:
        """Ask a replica what it computes with. Raises AttemptFailed."""
        if self._handle is None:
            self._handle = await self._in_thread(serve.get_app_handle, APPLICATION)
        try:
            async with asyncio.timeout(IDENTITY_S):
                version, *names = await self._handle.identity.remote()
        except (RayError, RayServeException, TimeoutError) as error:
            raise AttemptFailed("lost", _words(error)) from error
        if version != VERSION:
            raise AttemptFailed("another_version", f"they speak version {version}, not {VERSION}")
        self._by = Identity(*names)
        self._identified_at = time.monotonic()


def load_once(replicas: Replicas) -> str:
    """Load what a replica would load, in a task on its host; return why not, empty if it runs.

    A replica's GPU is not looked at: those that serve may have all of them.
    """
    provider = "auto" if replicas.gpus else replicas.provider
    try:
        _load(replacing(replicas, provider=provider))
    except MattingError as error:
        return _words(error)
    return ""


def _open_no_port() -> None:
    """Keep Serve from opening a port for this replica, which it does when this is constructed.

    It listens on every interface and unpickles what arrives, token or not; Serve uses it only for
    RAY_SERVE_USE_GRPC_BY_DEFAULT. Ray 2.60 has no setting for it.
    """
    vars(replica_module)["add_port_to_grpc_server"] = lambda _server, _address: 0


def _load(replicas: Replicas) -> LocalMatter:
    folder = Path(replicas.models_dir) if replicas.models_dir else default_data_dir() / "models"
    return load_matter(
        find_weights(replicas.model, folder),
        provider=replicas.provider,
        precision=replicas.precision,
        threads=replicas.threads,
    )


def _trouble_on(reference: Any) -> str:
    """Return why a host could not load the model, empty when it could."""
    try:
        return str(ray.get(reference))
    except Exception as error:  # Ray raises anything: another version, no memory, a lost host
        return _words(getattr(error, "cause", None) or error)


def _is_alive(node: Any) -> bool:
    """Return whether a node of this host answers. Raises ClusterAway when only others may."""
    try:
        where = node.node_manager_address, node.node_manager_port
        socket.create_connection(where, REACH_S).close()
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(REACH_S)
            probe.connect(node.raylet_socket_name)
    except PermissionError as error:
        raise ClusterAway("The Ray on this host belongs to another user.", str(error)) from error
    except OSError:
        return False
    return True


def _trouble_of(application: Any) -> str:
    """Return what Ray says of an application that does not start."""
    deployment = application.deployments.get(DEPLOYMENT)
    return _words((deployment and deployment.message) or application.message)


def _words(error: object) -> str:
    return " ".join(str(error).split())[:2000]
