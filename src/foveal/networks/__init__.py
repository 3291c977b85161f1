"""Networks: blocks, a staged backbone, a pooled head, and what can be computed about them."""
