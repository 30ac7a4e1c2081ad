"""Networks in the tests are tiny: one thread is quicker, and leaves the other core."""

import torch

torch.set_num_threads(1)
