"""Wrong calls with files of weights."""

from snl_graph.interchange.errors import InterchangeError
from tests.misuse.case import Area, Case

FILES = Area(
    "Weights in files",
    """
from pathlib import Path

import torch
from torch import nn

from snl_graph import convert_block, insert_block, load_blocks, nonlocal_block, save_blocks

net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 1))
""",
    (
        Case(
            "A pointer in place of the file",
            '_ = Path("resnet.pth").write_text("version https://git-lfs.github.com/spec/v1\\n")\n'
            'convert_block("resnet.pth")',
            InterchangeError,
            ("resnet.pth is not a file of torch.save", "pointer of Git LFS", "git lfs pull"),
            "mit-han-lab/smoothquant#13, svip-lab/PPGNet#2",
        ),
        Case(
            "A page of the web in place of the file",
            '_ = Path("resnet.pth").write_text("<!DOCTYPE html><title>Quota exceeded</title>")\n'
            'convert_block("resnet.pth")',
            InterchangeError,
            ("resnet.pth is not a file of torch.save", "page of the web", "Download"),
            "eladrich/pixel2style2pixel#17, Daniil-Osokin/gccpm-look-into-person-cvpr19.pytorch#22",
        ),
        Case(
            "A whole network in place of its weights",
            'torch.save(nonlocal_block("nl", 8), "block.pth")\nconvert_block("block.pth")',
            InterchangeError,
            ("holds more than tensors", "could run code", "Save its state dict alone"),
            "amyxlu/cheap-proteins#4, open-retina/open-retina#186",
        ),
        Case(
            "A module in place of its weights",
            'convert_block(nonlocal_block("nl", 8))',
            TypeError,
            ("a state dict or the path of a file", "got NonlocalBlock", "module.state_dict()"),
            "ahangchen/torch_base#7",
        ),
        Case(
            "A checkpoint that holds no weights",
            'torch.save({"epoch": 3, "optimizer": {}}, "state.pth")\nconvert_block("state.pth")',
            InterchangeError,
            ("holds no weights by name", "expected a state dict", '"epoch", "optimizer"'),
        ),
        Case(
            "The weights of a network without blocks",
            "convert_block(net.state_dict())",
            InterchangeError,
            ("the weights hold no block", "Known layouts"),
        ),
        Case(
            "A file of torch.save for blocks alone",
            'torch.save(net.state_dict(), "net.pt")\nload_blocks("net.pt", net)',
            InterchangeError,
            ("net.pt is not a safetensors file", "a file of torch.save", "model.load_state_dict"),
            "safetensors/safetensors#414",
        ),
        Case(
            "The network before the file",
            'load_blocks(net, "blocks.safetensors")',
            TypeError,
            ("the path of the file comes first", "got Sequential", "load_blocks(path, model)"),
            "pytorch#754",
        ),
        Case(
            "The file before the network",
            'save_blocks("blocks.safetensors", net)',
            TypeError,
            ("the network comes first", "got str", "save_blocks(model, path)"),
            "pytorch#754",
        ),
        Case(
            "Blocks of a network without any",
            'save_blocks(net, "blocks.safetensors")',
            InterchangeError,
            ("has no inserted blocks", "insert_block puts one in", "torch.save"),
        ),
        Case(
            "Blocks of another width",
            '_ = save_blocks({"0": nonlocal_block("snl", 8, reduction=4)}, "narrow.safetensors")\n'
            'load_blocks("narrow.safetensors", insert_block(net, after="0"))',
            InterchangeError,
            ("is another block", "hidden_channels is 2 in the file and 4 in the network"),
            "openai/guided-diffusion#7",
        ),
        Case(
            "A file of blocks by another ending",
            'save_blocks(insert_block(net, after="0"), "blocks.pt")',
            ValueError,
            ("in .safetensors", "got blocks.pt"),
        ),
    ),
)
