"""A new import stands where a person would put it."""

from __future__ import annotations

import pytest

from graphfix.source.imports import importing

CASES = {
    "a file without imports": ("def f(): pass\n", "import torch\n\ndef f(): pass\n"),
    "below the docstring": ('"""Words."""\n\nx = 1\n', '"""Words."""\n\nimport torch\n\nx = 1\n'),
    "below __future__": (
        '"""Words."""\nfrom __future__ import annotations\nx = 1\n',
        '"""Words."""\nfrom __future__ import annotations\n\nimport torch\n\nx = 1\n',
    ),
    "below a licence": ("# (c)\n\nx = 1\n", "# (c)\n\nimport torch\n\nx = 1\n"),
    "into its group, in order": (
        "import os\n\nimport numpy as np\nimport zarr\nfrom a import b\n\nfrom . import c\n",
        "import os\n\nimport numpy as np\nimport torch\nimport zarr\nfrom a import b\n\nfrom . import c\n",
    ),
    "above the first of its group": (
        "import os\n\nfrom torch import nn\n",
        "import os\n\nimport torch\nfrom torch import nn\n",
    ),
    "below the standard library": (
        "import os\nfrom re import (\n    sub,\n)\nX = 1\n",
        "import os\nfrom re import (\n    sub,\n)\n\nimport torch\nX = 1\n",
    ),
    "above own code": ("from . import a\n", "import torch\n\nfrom . import a\n"),
    "above a comment of the import below": (
        "import os\n\n# the model\nfrom zoo import net\n",
        "import os\n\nimport torch\n# the model\nfrom zoo import net\n",
    ),
    "under a licence that touches the imports": (
        "# (c)\nfrom zoo import net\n",
        "# (c)\nimport torch\nfrom zoo import net\n",
    ),
    "not into a later import": (
        "import os\n\ndef f(): pass\n\nimport sys\n",
        "import os\n\nimport torch\n\ndef f(): pass\n\nimport sys\n",
    ),
    "an import of two statements on a line": ("import os; import sys\n", "import os; import sys\n\nimport torch\n"),
    "not under TYPE_CHECKING": (
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import torch\n",
        "from typing import TYPE_CHECKING\n\nimport torch\n\nif TYPE_CHECKING:\n    import torch\n",
    ),
    "line endings stay": ("import os\r\nx = 1\r\n", "import os\r\n\r\nimport torch\r\nx = 1\r\n"),
    "no line end at the end": ("import os", "import os\n\nimport torch\n"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_package(case: str) -> None:
    before, after = CASES[case]
    assert importing(before, ["torch"]) == after


def test_the_standard_library_comes_first() -> None:
    assert importing("import torch\n\nx = 1\n", ["contextlib"]) == "import contextlib\n\nimport torch\n\nx = 1\n"
    before, after = (
        "import abc\nimport os\nfrom re import sub\n",
        "import abc\nimport contextlib\nimport os\nfrom re import sub\n",
    )
    assert importing(before, ["contextlib"]) == after


def test_several_modules() -> None:
    assert importing("x = 1\n", ["torch", "math"]) == "import math\n\nimport torch\n\nx = 1\n"


def test_lone_carriage_returns_are_refused() -> None:
    with pytest.raises(ValueError, match="carriage return"):
        importing("import os\rx = 1\r", ["torch"])
