"""Random weights to begin with, and biases at which the network says something plausible from the first step."""

from __future__ import annotations

import torch
from torch import nn

TOKEN_DEVIATION = 0.02
LAYER_SCALE = 0.3  # of every block's residual; small networks of few blocks need no tiny start
FIELD_OF_VIEW_RAD = 0.9  # the decoder's last step is a ReLU: started at 0 it may never move
START_BIASES = {
    "cam_dec.fc_qvec.bias": (0.0, 0.0, 0.0, 1.0),  # no rotation
    "cam_dec.fc_fov.0.bias": (FIELD_OF_VIEW_RAD, FIELD_OF_VIEW_RAD),
}


def initialize(network: nn.Module, seed: int) -> None:
    """Draws all weights of a network.

    Matrices: Xavier; convolutions: as torch draws them; tokens and tables: small normal numbers; the last layers of
    depth, rays and cameras start at depth 1, rays along z, no rotation and a field of view of 0.9 rad.

    Args:
        network: of ``n3d_ros.depth.network``; changed in place.
        seed: everything drawn follows from it.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for module in network.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.reset_parameters()
            elif isinstance(module, nn.LayerNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
        for name, parameter in network.named_parameters():
            if name.endswith(("token", "pos_embed")):
                parameter.normal_(0.0, TOKEN_DEVIATION)
            elif name.endswith("gamma"):
                parameter.fill_(LAYER_SCALE)
            elif name in START_BIASES:
                parameter.copy_(torch.tensor(START_BIASES[name]))
            elif name.endswith("output_conv2.2.bias"):
                parameter.zero_()  # exp(0) = 1: depth in the unit of the scale
            elif name.endswith("output_conv2_aux.3.5.bias"):
                parameter.copy_(torch.tensor([0.0, 0, 1, 0, 0, 0, 0]))
