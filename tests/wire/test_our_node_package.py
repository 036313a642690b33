"""Our Node client as a package: what is in it, how it is loaded, its types and its examples."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from node_client_calls import CALL_S, CLIENT, PACKAGE

from pictures import picture
from services import Service, clean_environment, program

pytestmark = pytest.mark.wire

WIRE_MODULES = Path(__file__).parent / "node" / "node_modules"
PUBLISHED = WIRE_MODULES / "@remove-background-ai" / "rembg.js"
OURS = "@openrembg/rembg.js"
FACTS = json.loads((PACKAGE / "package.json").read_text("utf-8"))
# What would hide an error of types.
SILENCERS = re.compile(r"@ts-(ignore|nocheck|expect-error)|\bas any\b|(?<!event\?): any\b")
CONSUMER = """
import whole, {
  APIError, MonthlyLimit, RembgError, rembg, usage,
  type CutOutInfo, type InputImage, type ProgressEvent, type RembgRequest,
} from "@openrembg/rembg.js";

export async function all(inputs: InputImage[], signal: AbortSignal): Promise<string> {
  const file = await rembg({ inputImage: "a.jpg", options: { returnBase64: true, w: 5 } });
  const info: CutOutInfo = file.info;
  if (file.base64Image !== undefined) return file.base64Image;
  const path: string = file.outputImagePath;
  await file.cleanup();
  const request: RembgRequest = { inputImage: new Uint8Array(5), apiKey: null };
  request.signal = signal;
  request.options = { format: "png" };
  request.options.w = 5;
  const either = await rembg(request);
  const one: string = either.base64Image ?? either.outputImagePath;
  const onUploadProgress = (event: ProgressEvent): void => console.log(event.loaded, event.rate);
  for (const inputImage of inputs) await rembg({ inputImage, onUploadProgress, retries: 0 });
  await rembg({ inputImage: new Blob(["x"]), apiKey: undefined });
  await rembg({ inputImage: new Blob(["x"]).stream() });
  await rembg({ inputImage: new URL("https://example.com/a.jpg"), timeout: 5 });
  await rembg({ inputImage: { base64: "" }, headers: { "X-Trace": "a" } });
  await rembg({ inputImage: "a.jpg", headers: new Headers({ "X-Trace": "a" }) });
  await rembg({ inputImage: "a.jpg", headers: new Map([["X-Trace", "a"]]) });
  await rembg({ inputImage: "a.jpg", headers: [["X-Trace", "a"]] });
  await whole({ inputImage: "a.jpg" });
  await whole.rembg({ inputImage: "a.jpg" });
  await whole.default.default({ inputImage: "a.jpg" });
  const credits: number = (await whole.usage()).credits;
  const fake: typeof rembg = async () => ({ base64Image: "", info });
  // @ts-expect-error a number is no picture
  await rembg({ inputImage: 5 });
  // @ts-expect-error there is no picture
  await rembg({ apiKey: "k" });
  const { billingCycle, prepaidCredits } = await usage({ billingCycle: true });
  const left: number = billingCycle.remainingIncludedCredits + prepaidCredits;
  const [newest] = (await usage({ listBillingCycles: true })).billingCycles;
  const used: number = (await usage({ year: 2026 })).api_usage;
  // @ts-expect-error it was not asked for
  (await usage()).billingCycle;
  const error: unknown = new Error();
  if (error instanceof MonthlyLimit) return `${error.status} ${error.error} ${error.retryAfter}`;
  if (error instanceof APIError) return error.details?.[0]?.field ?? "";
  if (error instanceof RembgError) return error.message;
  return [path, one, info.width, left, newest?.appUsage, used, credits, fake].join();
}
"""
NODE_CONSUMER = """
import type { AxiosProgressEvent } from "axios";
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { rembg, type ProgressEvent } from "@openrembg/rembg.js";

const log = (event: AxiosProgressEvent): void => console.log(event.loaded, event.total);
export const axiosEvent = (event: ProgressEvent): AxiosProgressEvent => event;
export const ownEvent = (event: AxiosProgressEvent): ProgressEvent => event;

export async function all(): Promise<void> {
  await rembg({ inputImage: "x", onUploadProgress: log, onDownloadProgress: log });
  await rembg({ inputImage: "x", onUploadProgress: (event) => console.log(event.event.type) });
  await rembg({ inputImage: { size: 1, stream: () => new Blob(["x"]).stream() } });
  await rembg({ inputImage: Buffer.from("x") });
  await rembg({ inputImage: createReadStream("x") });
  await rembg({ inputImage: Readable.from([]) });
  await rembg({ inputImage: process.stdin });
}
"""


def run(
    command: list[str], folder: Path, environment: dict[str, str] | None = None, status: int = 0
) -> str:
    """Run a program and return what it says; it must end well by itself."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**clean_environment(), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=CALL_S,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty project into which the packed package is installed, without a network."""
    # Packing builds, which must not happen to the build that other tests use.
    source, home = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("project")
    copy = shutil.copytree(
        PACKAGE, source / "node", ignore=shutil.ignore_patterns("node_modules", "dist")
    )
    (copy / "node_modules").symlink_to(PACKAGE / "node_modules")
    npm = {"npm_config_cache": str(source / "cache"), "npm_config_offline": "true"}
    run([program("npm"), "pack", "--pack-destination", str(source)], copy, npm)
    (home / "package.json").write_text('{"name": "a-project", "private": true}')
    [tarball] = source.glob("*.tgz")
    assert tarball.name == f"openrembg-rembg.js-{FACTS['version']}.tgz"
    run([program("npm"), "install", "--no-audit", "--no-fund", str(tarball)], home, npm)
    return home


def test_the_package_has_what_it_needs_and_no_more(project: Path) -> None:
    installed = project / "node_modules" / OURS
    names = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    built = {name for name in names if name.startswith("dist/")}
    assert names - built == {"package.json", "README.md", "LICENSE"}
    assert {"dist/index.js", "dist/index.mjs", "dist/index.d.ts", "dist/index.d.mts"} <= built
    # Nothing else came along.
    modules = sorted(path.name for path in (project / "node_modules").iterdir())
    assert modules == [".package-lock.json", "@openrembg"]


def test_the_package_depends_on_nothing() -> None:
    assert {key for key in FACTS if "ependencies" in key} == {"devDependencies"}
    assert (FACTS["name"], FACTS["license"]) == (OURS, "Apache-2.0")
    assert (PACKAGE / "LICENSE").read_bytes() == (PACKAGE.parents[1] / "LICENSE").read_bytes()


def test_the_lock_names_hashes_and_no_address() -> None:
    packages = json.loads((PACKAGE / "package-lock.json").read_text())["packages"]
    installed = {path: package for path, package in packages.items() if path}
    assert all(package["integrity"].startswith("sha512-") for package in installed.values())
    assert not any("resolved" in package for package in installed.values())
    assert {package.get("dev") for package in installed.values()} == {True}


def test_the_client_says_the_packages_version() -> None:
    text = (PACKAGE / "src" / "credentials.ts").read_text("utf-8")
    assert f"openrembg-node/{FACTS['version']}" in text


def test_the_build_is_that_of_the_sources(project: Path) -> None:
    fresh = project / "node_modules" / OURS / "dist"
    built = {path.name for path in CLIENT.parent.iterdir()} - {".built"}
    assert {path.name for path in fresh.iterdir()} == built
    for path in fresh.iterdir():
        assert (CLIENT.parent / path.name).read_bytes() == path.read_bytes(), path.name


def test_no_source_hides_an_error() -> None:
    sources = sorted((PACKAGE / "src").iterdir())
    assert len(sources) > 15
    assert [path.name for path in sources if SILENCERS.search(path.read_text("utf-8"))] == []


def test_require_and_import_give_the_same(project: Path) -> None:
    script = f"""
    const whole = require({OURS!r});
    import({OURS!r}).then((module) => {{
      const names = Object.keys(whole).filter((name) => !["__esModule", "default"].includes(name));
      console.log(names.every((name) => module[name] === whole[name]), names.length > 30);
      const pkg = module.default;
      console.log(pkg === whole.rembg && pkg.rembg === pkg && pkg.default === pkg,
        whole.default === pkg && pkg.usage === whole.usage && typeof pkg === "function");
      console.log(require({OURS!r} + "/package.json").version);
    }});
    """
    assert run([program("node"), "-e", script], project).split() == [
        *("true", "true", "true", "true", FACTS["version"]),
    ]


@pytest.mark.parametrize("resolution", ["node16", "bundler"])
def test_typescript_knows_the_types(project: Path, tmp_path: Path, resolution: str) -> None:
    """As a CommonJS module and as an ES module; nobody asks for Node's types but the package."""
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "@openrembg").symlink_to(project / "node_modules" / "@openrembg")
    for name in ("@types", "undici-types"):
        (modules / name).symlink_to(PACKAGE / "node_modules" / name)
    (modules / "axios").symlink_to(WIRE_MODULES / "axios")
    for end in ("cts", "mts"):
        (tmp_path / f"consumer.{end}").write_text(CONSUMER)
        (tmp_path / f"in_node.{end}").write_text(NODE_CONSUMER)
    options = ["--strict", "--exactOptionalPropertyTypes", "--noEmit", "--target", "es2022"]
    module = "node16" if resolution == "node16" else "preserve"
    options += ["--module", module, "--moduleResolution", resolution, "--lib", "es2023"]
    tsc = [program("node"), str(PACKAGE / "node_modules" / "typescript" / "bin" / "tsc")]
    consumers = [f"{name}.{end}" for name in ("consumer", "in_node") for end in ("cts", "mts")]
    assert run([*tsc, *options, *consumers], tmp_path) == ""


EXAMPLES = {
    "cut-out.mjs": "cut.png: 320 × 240, credits: 1\n",
    "progress.mjs": "data:image/webp;base64,UklGR",
    "errors.cjs": "rembg-",
    "abort.mjs": "320 × 240\n",
}


def test_every_example_is_tried() -> None:
    assert {path.name for path in (PACKAGE / "examples").iterdir()} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(server: Service, project: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(PACKAGE / "examples" / name, project / name)
    (project / "photo.jpg").write_bytes(picture("JPEG"))
    environment = {"REMBG_API_URL": server.url, "TMPDIR": str(tmp_path)}
    said = run([program("node"), name, "photo.jpg", "cut.png"], project, environment)
    assert EXAMPLES[name] in said
    assert list(tmp_path.iterdir()) == []


def test_the_example_of_errors_gives_advice(project: Path) -> None:
    shutil.copy(PACKAGE / "examples" / "errors.cjs", project / "errors.cjs")
    said = run([program("node"), "errors.cjs", "missing.jpg"], project)
    assert said == (
        "Please give another picture. ❌ ENOENT: no such file or directory, open 'missing.jpg'\n"
    )


def blocks(language: str) -> list[str]:
    text = (PACKAGE / "README.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_readmes_example_runs(server: Service, project: Path, tmp_path: Path) -> None:
    text = blocks("js")[0].replace('"http://localhost:8000"', json.dumps(server.url))
    (project / "readme.mjs").write_text(text.replace('"YOUR_API_KEY"', "null"))
    (project / "photo.jpg").write_bytes(picture("JPEG"))
    said = run([program("node"), "readme.mjs"], project, {"TMPDIR": str(tmp_path)})
    assert said == "320 × 240\n"
    assert (project / "cut-out.png").read_bytes().startswith(b"\x89PNG")


def test_the_readme_names_every_argument_and_error() -> None:
    text = (PACKAGE / "README.md").read_text("utf-8")
    errors = re.findall(
        r"^export class (\w+)", (PACKAGE / "src" / "errors.ts").read_text(), re.MULTILINE
    )
    assert [name for name in errors if not re.search(rf"\b{name}\b", text)] == []
    sources = "".join((PACKAGE / "src" / f"{name}.ts").read_text() for name in ("call", "usage"))
    arguments = set(re.findall(r"^  (\w+)\?: .* \| undefined;$", sources, re.MULTILINE))
    assert {"timeout", "billingCycle", "idempotencyKey"} <= arguments
    assert [name for name in sorted(arguments) if f"`{name}" not in text] == []


PUBLISHED_EXAMPLES = sorted(path.name for path in (PUBLISHED / "example").glob("*.mjs"))


@pytest.mark.parametrize("name", PUBLISHED_EXAMPLES)
def test_an_example_of_the_published_client_needs_another_import_alone(
    server: Service, project: Path, tmp_path: Path, name: str
) -> None:
    folder, temporary = tmp_path / "example", tmp_path / "tmp"
    shutil.copytree(PUBLISHED / "example", folder)
    (folder / "node_modules").mkdir()
    temporary.mkdir()
    (folder / "node_modules" / "@openrembg").symlink_to(project / "node_modules" / "@openrembg")
    (folder / "node_modules" / "dotenv").symlink_to(WIRE_MODULES / "dotenv")
    text = (folder / name).read_text("utf-8")
    assert text.count("'../dist/index.js'") == 1
    (folder / name).write_text(text.replace("'../dist/index.js'", f"'{OURS}'"), "utf-8")
    # The key is refused where it is a wrong one: an account of its own is no matter of this test.
    environment = {"REMBG_API_URL": server.url, "TMPDIR": str(temporary), "API_KEY": "wrong"}
    refused = subprocess.run(
        [program("node"), name],
        cwd=folder,
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=False,
    )
    assert "❌ 401" in refused.stderr
    (folder / name).write_text(
        (folder / name).read_text("utf-8").replace("process.env.API_KEY", "null"), "utf-8"
    )
    said = run([program("node"), name], folder, environment)
    assert "✅" in said
    assert "❌" not in said
    assert not any(os.path.basename(path).startswith(".") for path in temporary.iterdir())  # noqa: PTH119
