"""What every test may ask for: shared data, one thread, a cache of its own."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

# A busy machine is no fault of a test: neither its deadline nor a slow draw may fail one.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real and hostile data; the test is skipped where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the shared data folder is not beside the checkout")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tests run side by side; two threads each would only get in each other's way."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches of a test never meet the user's, nor those of another worker."""
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
