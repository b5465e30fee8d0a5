"""Install chatterbox 0.1.7 beside the torch that is already here: `.venv/bin/python examples/chatterbox/install.py`.

chatterbox pins torch 2.6.0. It runs on newer ones, so it is installed without its dependencies, and the companions it
needs are named below. A constraint pins the installed torch, so no step can replace it or fetch another build of it.
A second run only compares versions and ends at once.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

COMPILED = (".so", ".pyd", ".dylib")


class InstallError(Exception):
    """A step failed; the message says what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class Package:
    """A distribution: what pip is asked for, and the start of an installed version that is kept as it is."""

    name: str
    specifier: str = ""
    keeps: str = ""

    @property
    def present(self) -> bool:
        """Whether a version that may stay is installed."""
        found = installed(self.name)
        return found is not None and (found == self.keeps or found.startswith(self.keeps + ".") or not self.keeps)


# chatterbox 0.1.7 asks for numpy below 2 up to Python 3.12, and for 2 or newer from 3.13 on.
NUMPY = Package("numpy", "<2", "1") if sys.version_info < (3, 13) else Package("numpy", ">=2", "2")
COMPANIONS = (
    NUMPY,
    Package("conformer", "==0.3.2", "0.3.2"),
    Package("diffusers", "==0.29.0", "0.29.0"),
    Package("einops"),
    Package("librosa", "==0.11.0", "0.11.0"),
    Package("omegaconf"),
    Package("onnx"),
    Package("pyloudnorm"),
    Package("resemble-perth", "==1.0.1", "1.0.1"),
    Package("safetensors"),
    Package("tqdm"),
    Package("transformers", "==5.2.0", "5"),
)
# Installed last and without dependencies, so that their presence says that every earlier step was finished.
TARGETS = (Package("s3tokenizer", "==0.3.0", "0.3.0"), Package("chatterbox-tts", "==0.1.7", "0.1.7"))


def installed(name: str) -> str | None:
    """The installed version of a distribution, None where there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def pip_install(*arguments: str) -> str | None:
    """Run pip; None when it worked, else the first error that it reports."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return [*errors, *lines[-1:], f"pip ended with code {done.returncode}"][0].removeprefix("ERROR: ")


def imports(module: str) -> bool:
    """Whether a fresh interpreter can import the module."""
    command = [sys.executable, "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def install_companions(torch_version: str) -> None:
    """Install what chatterbox imports, with its dependencies; torch stays the one that is here."""
    missing = [package.name + package.specifier for package in COMPANIONS if not package.present]
    if not missing:
        return
    print(f"installing {', '.join(missing)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder, "constraints.txt")
        constraints.write_text(f"torch=={torch_version}\n{NUMPY.name}{NUMPY.specifier}\n", encoding="utf-8")
        complaint = pip_install("--constraint", str(constraints), *missing)
    if complaint:
        raise InstallError(
            f"pip could not install the packages that chatterbox imports ({complaint}); "
            "check pip's index and network settings, then run this again."
        )


def install_torchaudio(torch_version: str) -> None:
    """Make `import torchaudio` work, whatever torch is here."""
    if imports("torchaudio"):
        return
    if installed("torchaudio") is None:
        matching = f"torchaudio=={torch_version.split('+')[0]}"
        print(f"installing {matching}", flush=True)
        if pip_install("--no-deps", matching):
            print("no torchaudio matches this torch: installing the newest one", flush=True)
            if complaint := pip_install("--no-deps", "torchaudio"):
                raise InstallError(
                    f"torchaudio is missing and pip could not install it ({complaint}); "
                    "install a torchaudio for this torch by hand, then run this again."
                )
        if imports("torchaudio"):
            return
    # chatterbox only uses torchaudio's Python code, which checks whether the compiled part is there.
    print("torchaudio's compiled files do not load beside this torch: moving them aside", flush=True)
    set_aside(Path(sysconfig.get_paths()["platlib"], "torchaudio", "lib"))
    if not imports("torchaudio"):
        raise InstallError(
            "torchaudio is installed but cannot be imported, even without its compiled files; "
            "install a torchaudio that matches this torch by hand, then run this again."
        )


def set_aside(folder: Path) -> None:
    """Rename the compiled files of a folder to *.aside."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix in COMPILED:
            path.rename(path.with_name(path.name + ".aside"))


def install_targets() -> None:
    """Install s3tokenizer and chatterbox themselves, without the dependencies that they pin."""
    for package in TARGETS:
        if package.present:
            continue
        requirement = package.name + package.specifier
        print(f"installing {requirement}", flush=True)
        if complaint := pip_install("--no-deps", requirement):
            raise InstallError(
                f"{requirement} is missing and pip could not install it ({complaint}); "
                "check pip's index and network settings, then run this again."
            )


def install() -> None:
    """Install everything that is missing, and check that it can be imported."""
    torch_version = installed("torch")
    if torch_version is None:
        raise InstallError("torch is missing from this environment; install it with pip, then run this again.")
    if all(package.present for package in (*COMPANIONS, *TARGETS)) and installed("torchaudio"):
        print(f"chatterbox-tts {installed('chatterbox-tts')} is ready beside torch {torch_version}")
        return
    install_companions(torch_version)
    install_torchaudio(torch_version)
    install_targets()
    if installed("torch") != torch_version:
        raise InstallError(
            f"torch changed from {torch_version} to {installed('torch')} during the installation; "
            f"install torch {torch_version} again, then run this again."
        )
    print("checking that chatterbox can be imported", flush=True)
    if not imports("chatterbox.models.s3gen"):
        raise InstallError(
            "chatterbox is installed but cannot be imported; "
            f"run {Path(sys.executable).name} -c 'import chatterbox' in this environment to see why."
        )
    print(f"chatterbox-tts {installed('chatterbox-tts')} is ready beside torch {torch_version}")


def main() -> int:
    """Install; 0 when chatterbox is ready, 2 when a step failed."""
    try:
        install()
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
