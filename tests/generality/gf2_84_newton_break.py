"""Newton's method for an elementwise square root, stops when it has converged."""
import torch

import graphfix


def newton_sqrt(a, iters=12, tol=1e-5):
    x = a.clone()
    for _ in range(iters):
        new = 0.5 * (x + a / x)
        delta = (new - x).abs().max()
        x = new
        if delta < tol:
            break
    return x


@graphfix.target
def newton_break():
    torch.manual_seed(3)
    yield graphfix.Call(newton_sqrt, torch.rand(4) + 0.5)
    yield graphfix.Call(newton_sqrt, torch.rand(3, 3) * 1e4 + 1, iters=3)
