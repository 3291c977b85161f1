"""Tables of tokens: each token of a text becomes a vector, or a vote for every answer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import axes

UNKNOWN = 1  # the id of every token that is not in the vocabulary; 0 is padding
NARROW = 2**15  # rows at most of a table of pieces whose rows are whole vectors


class Embed(nn.Module):
    """The vector of each token: its own row, and the sum of the rows of its pieces.

    So a word that training never met still has the vectors of its beginning and its ending. The
    gradients of both tables are sparse: only rows that were looked up have one.

    Args:
        tokens: rows of the table of tokens. pieces: kinds of pieces beside a token's own id.
        buckets: rows that ids of pieces are made for; the table of pieces has at most 32,768,
            which they share. outputs: D, width of a vector.

    Shapes: ids ``(B, R, T)``, whole numbers, R above ``pieces``, 0 for none -> ``(B, D, T)`` whose
        memory is ``(B, T, D)``: channels-last, for which convolutions are fastest.
    Raises: PlanError if a number is below 1 (``pieces``: below 0).
    Source: Kim 2014, arXiv:1408.5882; pieces after Bojanowski et al. 2016, arXiv:1607.04606.
    """

    def __init__(self, tokens: int, pieces: int, buckets: int, outputs: int) -> None:
        super().__init__()
        axes.count(tokens, name="tokens", where="Embed")
        self.outputs = axes.count(outputs, name="outputs", where="Embed")
        self.pieces = pieces
        # A token is one cell wide: what tells receptive fields asks for these.
        self.kernel, self.stride, self.before = (1,), (1,), (0,)
        self.table = nn.Parameter(torch.randn(tokens, outputs) * 0.1)
        rows = min(axes.count(buckets, name="buckets", where="Embed"), NARROW)
        self.table_pieces = nn.Parameter(torch.zeros(rows, outputs)) if pieces else None

    def forward(self, ids: Tensor) -> Tensor:
        ids = ids.long()
        out = F.embedding(ids[:, 0], self.table, sparse=True)
        if self.table_pieces is not None:
            batch, _, length = ids.shape
            own = ids[:, 1 : 1 + self.pieces].transpose(1, 2).reshape(batch * length, -1)
            rows = len(self.table_pieces)
            own = torch.where(own > 0, 1 + own % (rows - 1), own)
            summed = F.embedding_bag(own, self.table_pieces, mode="sum", padding_idx=0, sparse=True)
            out = out + summed.view(batch, length, -1)
        return out.transpose(1, 2)

    def extra_repr(self) -> str:
        return f"{len(self.table)} tokens, {self.pieces} pieces, {self.outputs}"


class Votes(nn.Module):
    """Every token and every piece votes for each answer; votes are summed over the text.

    The sum is divided by the root of the number of tokens, so that long texts are no surer than
    they should be. Started from counts it is naive Bayes; trained on from there it is a linear
    model on words, beginnings, endings and runs.

    Args:
        tokens, buckets: rows of the tables of tokens and of hashed pieces. outputs: K.

    Shapes: ids ``(B, R, T)``, 0 for none -> ``(B, K)``.
    Source: Wang and Manning, "Baselines and Bigrams", ACL 2012; beside a deep path as in
        Cheng et al., "Wide and Deep Learning", arXiv:1606.07792.
    """

    def __init__(self, tokens: int, buckets: int, outputs: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(tokens, outputs))
        self.table_pieces = nn.Parameter(torch.zeros(buckets, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, ids: Tensor) -> Tensor:
        ids = ids.long()
        count = (ids[:, 0] > 0).sum(1, keepdim=True).clamp_min(1)
        own = F.embedding_bag(ids[:, 0], self.table, mode="sum", padding_idx=0, sparse=True)
        if ids.shape[1] > 1:
            pieces = ids[:, 1:].flatten(1)
            own = own + F.embedding_bag(
                pieces, self.table_pieces, mode="sum", padding_idx=0, sparse=True
            )
        return own / count.sqrt() + self.bias

    @torch.no_grad()
    def start(self, ids: Tensor, member: Tensor) -> None:
        """Begin with naive-Bayes log-count ratios of training texts.

        Args:
            ids: ``(N, R, T)``. member: ``(N, K)``, 1 where a text belongs to a class, else 0.
        """
        self.table.copy_(0.3 * log_ratios(ids[:, 0], member, len(self.table)))
        if ids.shape[1] > 1:
            ratios = log_ratios(ids[:, 1:].flatten(1), member, len(self.table_pieces))
            self.table_pieces.copy_(0.15 * ratios)

    def extra_repr(self) -> str:
        return f"{len(self.table)} tokens, {len(self.table_pieces)} pieces, {len(self.bias)}"


def log_ratios(ids: Tensor, member: Tensor, rows: int) -> Tensor:
    """How much likelier each id is in the texts of a class than in all others, ``(rows, K)``.

    Whether a text holds an id counts, not how often. 0 for ids that no text holds.

    Shapes: ids ``(N, M)``, 0 for none; member ``(N, K)``.
    Source: Wang and Manning 2012, equation for r with one added to every count.
    """
    held = ids.long().sort(1).values
    first = held > 0
    first[:, 1:] &= held[:, 1:] != held[:, :-1]
    texts = first.nonzero()[:, 0]
    seen = torch.zeros(rows, member.shape[1]).index_add_(0, held[first], member[texts].float())
    total = torch.bincount(held[first], minlength=rows)[:, None].float()
    inside, outside = seen + 1, total - seen + 1
    ratio = (inside / inside.sum(0)).log() - (outside / outside.sum(0)).log()
    return ratio * (total > 0)


def forget(ids: Tensor, share: float) -> Tensor:
    """``ids`` ``(B, R, T)`` in which a random share of tokens has become unknown ones."""
    lost = (torch.rand(ids[:, 0].shape, device=ids.device) < share) & (ids[:, 0] > 0)
    out = ids.masked_fill(lost[:, None], 0)
    out[:, 0] = out[:, 0].masked_fill(lost, UNKNOWN)
    return out
