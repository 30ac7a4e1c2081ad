"""A network that predicts its own input in frames where it was hidden.

Dimension key: B batch, T time, C channel.
All layers but the heads have the shapes that they have in the model for which it
learns, so they can be copied into that one.
"""

import copy

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mabe.models.model import NetworkModel
from mabe.models.networks import build_network
from mabe.models.reused_weights import is_head


class SpanPredictor(nn.Module):
    """Predicts a model's scaled features where they are hidden from the network."""

    def __init__(self, model: NetworkModel) -> None:
        super().__init__()
        self.inputs = copy.deepcopy(model).requires_grad_(False)
        """Gives the network its input; it does not learn."""
        self.network = build_network(
            model.config, model.input_channels, model.scaling.channels
        )

    def forward(
        self, shown: Tensor, hidden_BT: Bool[Tensor, "b t"], *view: Tensor
    ) -> tuple[Float[Tensor, "b t c"], Float[Tensor, "b t c"]]:
        """Return what is predicted of the scaled features, and what they are.

        `shown` and `view` are the arguments of the model's `forward`. Hidden features
        are zero, which is a usual value; what says which lab's view is shown stays.
        """
        known_BTC = self.inputs.channels(shown, *view).detach()
        features = self.inputs.scaling.channels
        truth_BTC, view_BTC = known_BTC[..., :features], known_BTC[..., features:]
        seen_BTC = truth_BTC.masked_fill(hidden_BT[..., None], 0.0)
        predicted_BTC = self.network(torch.cat([seen_BTC, view_BTC], dim=2))
        return predicted_BTC.float(), truth_BTC.float()

    @torch.no_grad()
    def copy_into(self, model: NetworkModel) -> None:
        """Copy scaling and weights into a model, but not those of the heads."""
        known = self.inputs.state_dict() | {
            f"network.{name}": value
            for name, value in self.network.state_dict().items()
        }
        for name, value in model.state_dict().items():
            if not is_head(name):
                value.copy_(known[name])
