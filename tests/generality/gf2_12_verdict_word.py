"""Speaker verification with a word for an answer.

Nobody can repair this: which str is returned depends on a tensor's value, and a graph returns tensors.
"""
import torch
import torch.nn.functional as F

import graphfix


class Verifier:
    threshold = 0.4

    def verify(self, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, str]:
        score = F.cosine_similarity(left, right, dim=0)
        if score > self.threshold:
            return score, "same"
        return score, "other"


@graphfix.target
def verify():
    v = Verifier()
    yield graphfix.Call(v.verify, torch.ones(4), torch.ones(4))
    yield graphfix.Call(v.verify, torch.ones(5), -torch.ones(5))
