"""Wrong calls of nonlocal blocks, and of putting them into networks."""

from tests.misuse.case import Area, Case

BLOCKS = Area(
    "Nonlocal blocks",
    """
import torch
from torch_geometric.data import Data

import snl_graph
from snl_graph import nonlocal_block

maps = torch.ones(2, 64, 8, 8)
block = nonlocal_block("snl", 64)
""",
    (
        Case(
            "A block by a name that is none",
            'nonlocal_block("nonlocal", 64)',
            ValueError,
            ('unknown block "nonlocal"', 'Choices: "nl"'),
        ),
        Case(
            "Name and channels in the wrong order",
            'nonlocal_block(64, "snl")',
            TypeError,
            ("block must be a name", "got int", 'Names: "nl"'),
        ),
        Case(
            "Channels that are not whole",
            'nonlocal_block("snl", 64 / 2)',
            ValueError,
            ("channels is a whole number ≥ 1", "got 32.0"),
            "pytorch#135648",
        ),
        Case(
            "A map of other channels",
            "block(torch.ones(2, 32, 8, 8))",
            ValueError,
            ("takes 64 channels", "(2, 32, 8, 8) with 32", "Channels are axis 1"),
            "pytorch#2865",
        ),
        Case(
            "Channels last",
            "block(torch.ones(2, 8, 8, 64))",
            ValueError,
            ("takes 64 channels", "(2, 8, 8, 64) with 8", "x.movedim(-1, 1)"),
            "aladdinpersson/Machine-Learning-Collection#59",
        ),
        Case(
            "One image without a batch axis",
            "block(torch.ones(64, 8, 8))",
            ValueError,
            ("takes 64 channels", "(64, 8, 8) with 8", "x.unsqueeze(0)"),
            "zju3dv/LoFTR#102",
        ),
        Case(
            "A vector in place of a map",
            "block(torch.ones(2, 64))",
            ValueError,
            ("one to three spatial axes", "got (2, 64)"),
            "tea1528/Non-Local-NN-Pytorch#2, mmaction2#550",
        ),
        Case(
            "An array",
            "block(maps.numpy())",
            TypeError,
            ("a tensor (B, C, *spatial)", "got ndarray", "torch.as_tensor(x)"),
            "polo5/LDEQ_RwR#5",
        ),
        Case(
            "Maps as a list",
            "block([maps, maps])",
            TypeError,
            ("a tensor (B, C, *spatial)", "got list"),
            "yl-1993/hfsoftmax#13",
        ),
        Case(
            "A sparse map",
            "block(maps.to_sparse())",
            TypeError,
            ("one dense tensor (B, C, *spatial)", "is sparse", "x.to_dense()"),
            "tensorflow/tensorflow#50349, tensorflow/tensorflow#42512",
        ),
        Case(
            "Maps of several sizes, nested",
            "block(torch.nested.nested_tensor([torch.ones(64, 8, 8), torch.ones(64, 4, 4)]))",
            TypeError,
            ("one dense tensor (B, C, *spatial)", "is nested", "to_padded_tensor(0.0)"),
            "pytorch#114090",
        ),
        Case(
            "Bytes of an image",
            "block(maps.byte())",
            TypeError,
            ("must be floating point", "got torch.uint8", "x.float()"),
            "pytorch#2458, pytorch#14186",
        ),
        Case(
            "A map in double precision",
            "block(maps.double())",
            TypeError,
            ("x is torch.float64", "the block torch.float32", "x.to(torch.float32)"),
            "theislab/scarches#195",
        ),
        Case(
            "A map on another device",
            'block(maps.to("meta"))',
            ValueError,
            ("x is on meta", "the block on cpu", "block.to(x.device)"),
            "LianpoWang/CAMEW-UNet#37",
        ),
        Case(
            "A map without positions",
            "block(torch.ones(2, 64, 0, 8))",
            ValueError,
            ("at least one position", "(0, 8)"),
        ),
        Case(
            "Padding as numbers",
            "block(maps, valid=torch.ones(2, 8, 8))",
            ValueError,
            ("boolean of shape (2, 8, 8)", "got torch.float32", "True marks what is real"),
            "pytorch#136816, pytorch#27968",
        ),
        Case(
            "Padding as a list of positions",
            "block(maps, valid=torch.ones(2, 64).bool())",
            ValueError,
            ("boolean of shape (2, 8, 8)", "of shape (2, 64)"),
        ),
        Case(
            "Padding with the batch as its last axis",
            "block(maps, valid=torch.ones(8, 8, 2).bool())",
            ValueError,
            ("boolean of shape (2, 8, 8)", "of shape (8, 8, 2)"),
            "pytorch#99945",
        ),
        Case(
            "One value a channel in training",
            "block(torch.ones(1, 64, 1, 1))",
            ValueError,
            ("more than one value a channel", "(1, 64, 1, 1) has one", 'norm="group"'),
            "fastai#1352, mmseg#272",
        ),
        Case(
            "An N×N matrix that does not fit into memory",
            'large = nonlocal_block("nl", 8, representation="dense")\n'
            "large(torch.ones(1, 8, 1024, 1024))",
            ValueError,
            ("needs at least 4096.0 GiB", "1048576×1048576", 'Use representation "streaming"'),
            "nonlocal#46, mmseg#99, video-nonlocal#48, psychopa4/PFNL#5",
            elided=(r"cpu has [\d.]+ GiB",),
        ),
        Case(
            "NaN that came in with the map",
            "with snl_graph.value_checks():\n    block(maps / 0)",
            ValueError,
            ("x has 8192 non-finite values", "Look at the layer or file"),
            "facebookresearch/deit#29, roytseng-tw/Detectron.pytorch#172",
        ),
        Case(
            "A graph without features",
            "block(Data(edge_index=torch.zeros(2, 1).long()))",
            ValueError,
            ("node features x of shape (N, 64)", "got none"),
            "THUDM/CogDL#5",
        ),
        Case(
            "A graph whose features are in double precision",
            "block(Data(x=torch.ones(4, 64).double()))",
            TypeError,
            ("x is torch.float64 and the block torch.float32", "x.to(torch.float32)"),
        ),
        Case(
            "Graphs of several types of nodes",
            "from torch_geometric.data import HeteroData\n\nblock(HeteroData())",
            TypeError,
            ("or a PyG Data; got HeteroData", "x.to_homogeneous()"),
        ),
        Case(
            "Padding, or a batch of graphs, after convert_sync_batchnorm",
            "synced = torch.nn.SyncBatchNorm.convert_sync_batchnorm(block)\n"
            "synced(maps, valid=torch.ones(2, 8, 8, dtype=torch.bool))",
            TypeError,
            ("SyncBatchNorm in the place of the block's norm", 'norm="group"'),
            "pytorch#187298, timm#1254",
        ),
        Case(
            "Graphs of a batch in disorder",
            "block(Data(x=torch.ones(4, 64), batch=torch.tensor([0, 1, 0, 1])))",
            ValueError,
            ("data.batch must be sorted", "Sort the nodes by batch"),
            "pyg#10685",
        ),
        Case(
            "The batch vector of other nodes",
            "block(Data(x=torch.ones(4, 64), batch=torch.tensor([0, 0, 1])))",
            ValueError,
            ("torch.int64 of shape (4,)", "of shape (3,)", "Batch.from_data_list"),
        ),
        Case(
            "A block as TorchScript",
            "torch.jit.script(block)",
            TypeError,
            ("is no TorchScript", "torch.export.export", "torch.jit.trace"),
            "facebookresearch/xformers#246",
        ),
    ),
)

OPTIONS = Area(
    "Options of nonlocal blocks",
    """
import torch
from torch import nn

from snl_graph import nonlocal_block
from snl_graph.filters import Heat
""",
    (
        Case(
            "Heads that do not divide the channels",
            'nonlocal_block("nl", 10, heads=4)',
            ValueError,
            ("hidden_channels=5", "cannot be split into 4 heads", "Take a number that divides"),
            "pytorch#89683, mmaction2#1271, facebookresearch/detr#499",
        ),
        Case(
            "Heads where channels go by groups",
            'nonlocal_block("cgnl", 64, heads=2)',
            ValueError,
            ('block "cgnl"', "with groups, not heads"),
        ),
        Case(
            "Subsampling as yes or no",
            'nonlocal_block("nl", 64, subsample=True)',
            ValueError,
            ("a whole number ≥ 1", "got True"),
        ),
        Case(
            "Subsampled keys under the symmetric normalisation",
            'nonlocal_block("snl", 64, subsample=2)',
            ValueError,
            ("rectangular", "no symmetric form", 'normalization="rw" or "none"'),
        ),
        Case(
            "Subsampling of an axis too many",
            'nonlocal_block("nl", 64, subsample=(2, 2, 2))(torch.ones(1, 64, 4, 4))',
            ValueError,
            ("subsample=(2, 2, 2)", "a map of size (4, 4)", "one number an axis"),
        ),
        Case(
            "A number of taps for a block that has its own",
            'nonlocal_block("snl", 64, K=3)',
            ValueError,
            ('block "snl" has fixed taps', 'K is for block "gsnl"'),
        ),
        Case(
            "A filter with its own taps, and K",
            'nonlocal_block("gsnl", 64, filter=Heat(2), K=3)',
            ValueError,
            ("brings its own K", "leave K out"),
        ),
        Case(
            "A filter that is a class",
            'nonlocal_block("gsnl", 64, filter=Heat)',
            TypeError,
            ("a name or a GraphFilter", "got the class Heat", "Make an object of it: Heat(...)"),
            "pytorch#111718",
        ),
        Case(
            "A norm as a layer",
            'nonlocal_block("snl", 64, norm=nn.BatchNorm2d)',
            TypeError,
            ("norm must be a name", "got the class BatchNorm2d", '"batch"'),
        ),
        Case(
            "An activation as a module",
            'nonlocal_block("snl", 64, activation=nn.GELU())',
            TypeError,
            ("activation must be a name, got GELU", '"relu"'),
            "paul-krug/pytorch-tcn#20",
        ),
        Case(
            "A start at zero that could never end",
            'nonlocal_block("snl", 64, activation="relu", zero_init=True)',
            ValueError,
            ("would never train", "no gradient at 0", "Leave one of them out"),
            "lucidrains/deep-cross-attention#2",
        ),
        Case(
            "A signed kernel under a square root",
            'nonlocal_block("nl", 64, kernel="signed_dot", normalization="sym")',
            ValueError,
            ("needs a non-negative affinity", 'kernel="dot" or normalization="none"'),
            "sklearn#20754",
        ),
        Case(
            "Softmax as a normalisation",
            'nonlocal_block("nl", 64, normalization="softmax")',
            ValueError,
            ('unknown normalization "softmax"', 'Choices: "sym", "rw", "none"'),
        ),
        Case(
            "A window without its radius",
            'nonlocal_block("nl", 64, mask="window")',
            ValueError,
            ('unknown mask "window"', 'Did you mean "window:R"?'),
        ),
        Case(
            "A mask for maps of one size",
            'nonlocal_block("snl", 64, mask=torch.eye(25).bool())(torch.ones(1, 64, 4, 4))',
            ValueError,
            ("joins 25 nodes", "there are 16", "Make one for this size"),
            "microsoft/SwinBERT#52",
        ),
        Case(
            "A representation that the kernel does not have",
            'nonlocal_block("nl", 64, representation="factored")(torch.ones(1, 64, 4, 4))',
            ValueError,
            ('has no representation "factored"', '"streaming"', 'Use "auto"'),
        ),
        Case(
            "Two options for one width",
            'nonlocal_block("snl", 64, hidden_channels=16, reduction=4)',
            ValueError,
            ("hidden_channels=16", "reduction=4", "give one"),
        ),
    ),
)

INSERTION = Area(
    "Blocks in networks",
    """
import torch
from torch import nn

from snl_graph import NonlocalBlock, insert_block, nonlocal_block, remove_blocks

relu = nn.ReLU()
net = nn.Sequential(nn.Conv2d(3, 8, 3), relu, nn.Conv2d(8, 8, 1), relu, nn.Flatten())
""",
    (
        Case(
            "A place that is not there",
            'insert_block(net, after="layer3.4")',
            ValueError,
            ('has no submodule "layer3.4"', 'the model has "0"'),
            "kazuto1011/grad-cam-pytorch#4, frgfm/torch-cam#205",
        ),
        Case(
            "A place by its number",
            "insert_block(net, after=0)",
            TypeError,
            ("the name of a submodule", "got int", "model.named_modules()"),
        ),
        Case(
            "A network by its name",
            'insert_block("resnet50", after="layer3.4")',
            TypeError,
            ("must be a torch.nn.Module", "got str", "Build the network first"),
        ),
        Case(
            "The weights of a network in its place",
            'insert_block(net.state_dict(), after="0")',
            TypeError,
            ("must be a torch.nn.Module", "got OrderedDict", "Build the network first"),
            "sksq96/pytorch-summary#75",
        ),
        Case(
            "The class of a network in its place",
            'insert_block(nn.Transformer, after="encoder")',
            TypeError,
            ("must be a torch.nn.Module", "got type", "Build the network first"),
            "sksq96/pytorch-summary#19",
        ),
        Case(
            "A network inside DataParallel",
            'insert_block(nn.DataParallel(net), after="0")',
            ValueError,
            ('has no submodule "0"', 'Near names: "module.0"'),
            "epfml/attention-cnn#11, layumi/Person_reID_baseline_pytorch#173",
        ),
        Case(
            "A place where maps are vectors already",
            'insert_block(net, after="4")',
            ValueError,
            ('"4" returns shape', "(B, C, *spatial)", "Name an earlier submodule"),
            "nonlocal#6, grad-cam#306, grad-cam#192",
        ),
        Case(
            "A place where maps are tokens",
            "encoder = nn.TransformerEncoderLayer(16, 2, batch_first=True)\n"
            'insert_block(nn.Sequential(encoder), after="0", example=torch.ones(2, 12, 16))',
            ValueError,
            ('axis 1 of the output of "0"', "does not hold channels", "(B, C, *spatial)"),
            "grad-cam#257, grad-cam#355",
        ),
        Case(
            "A place that returns a tuple",
            "class Pair(nn.Conv2d):\n"
            "    def forward(self, x):\n"
            "        return super().forward(x), x\n"
            'insert_block(nn.Sequential(Pair(3, 8, 3)), after="0")',
            ValueError,
            ('"0" returns a tuple', "one tensor (B, C, *spatial)", "Name a submodule"),
            "grad-cam#252",
        ),
        Case(
            "A place that the network goes round",
            "class Round(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.conv = nn.Conv2d(3, 8, 3)\n"
            "    def forward(self, x):\n"
            "        return self.conv.forward(x)\n"
            'insert_block(Round(), after="conv")',
            ValueError,
            ('"conv" was not reached', "does not call it"),
            "numenta/nupic.torch#51, Zymrael/vortex#10",
        ),
        Case(
            "One ReLU in two places",
            'insert_block(net, after="1")',
            ValueError,
            ('"1", "3" are one shared ReLU', "a module of its own"),
            "torchvision#3802, openai/CLIP#239",
        ),
        Case(
            "One ReLU called twice",
            "class Twice(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.conv, self.relu = nn.Conv2d(3, 8, 3), nn.ReLU()\n"
            "    def forward(self, x):\n"
            "        return self.relu(self.conv(self.relu(x)))\n"
            'insert_block(Twice(), after="relu")',
            ValueError,
            ('"relu" is called 2 times', "Name a module that is called once"),
            "mlfoundations/open_clip#78",
        ),
        Case(
            "A place of a ModuleList",
            "class Net(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.layers = nn.ModuleList([nn.Conv2d(3, 8, 3)])\n"
            "    def forward(self, x):\n"
            "        return self.layers[0](x)\n"
            'insert_block(Net(), after="layers")',
            ValueError,
            ("is a ModuleList", "never called itself", '"layers.0"'),
            "torchvision#1895",
        ),
        Case(
            "An example of other channels",
            'insert_block(net, after="0", example=torch.ones(1, 1, 8, 8))',
            ValueError,
            ("failed on the example", "Pass one input as the model takes it"),
            "timm#976, grad-cam#141",
            elided=("Given groups.*instead",),
        ),
        Case(
            "An example without a batch axis",
            'insert_block(net, after="0", example=torch.ones(3, 8, 8))',
            ValueError,
            ("has no batch axis", "got shape (3, 8, 8)", "x.unsqueeze(0)"),
            "pytorch#1606",
        ),
        Case(
            "A network without convolutions, and no example",
            'insert_block(nn.Sequential(nn.Linear(4, 8)), after="0")',
            ValueError,
            ("has no convolution", "pass example="),
        ),
        Case(
            "A network whose shapes are not known yet",
            'insert_block(nn.Sequential(nn.LazyConv2d(8, 3)), after="0")',
            ValueError,
            ("has lazy layers", "run it once first"),
            "pytorch#65051",
        ),
        Case(
            "A class in place of a block",
            'insert_block(net, after="0", block=NonlocalBlock)',
            TypeError,
            ("a name or a module", "got the class NonlocalBlock", 'block="snl"'),
            "HorizonRobotics/alf#1159",
        ),
        Case(
            "Channels, which are measured",
            'insert_block(net, after="0", channels=8)',
            ValueError,
            ("channels=8", "running the example", "Leave it out"),
        ),
        Case(
            "A ready block of other channels",
            'insert_block(net, after="0", block=nonlocal_block("snl", 16))',
            ValueError,
            ("fails on a feature map", "takes 16 channels", "with 8"),
        ),
        Case(
            "A ready block, and options for it",
            'insert_block(net, after="0", block=nonlocal_block("snl", 8), reduction=4)',
            ValueError,
            ('"reduction" would be ignored', "where you build it"),
        ),
        Case(
            "A block that changes the shape",
            'insert_block(net, after="0", block=nn.Conv2d(8, 8, 3))',
            ValueError,
            ("keeps the shape", "Conv2d turned"),
        ),
        Case(
            "One block in two places",
            'insert_block(net, after="0", block=net[2])',
            ValueError,
            ("is part of the model already", "copy.deepcopy(block)"),
            "dreamquark-ai/tabnet#76",
        ),
        Case(
            "A compiled network",
            'insert_block(torch.compile(net, backend="eager"), after="0")',
            ValueError,
            ("is compiled", "does not notice", "Insert first, then compile"),
            "pytorch#117758, pytorch#117265",
        ),
        Case(
            "A network that is TorchScript",
            'insert_block(torch.jit.script(nn.Sequential(nn.Conv2d(3, 8, 3))), after="0")',
            ValueError,
            ("is TorchScript, which runs no hooks", "Insert before"),
            "pytorch#29037, pytorch#86818, grad-cam#258",
        ),
        Case(
            "Taking blocks out of nothing",
            "remove_blocks(None)",
            TypeError,
            ("must be a torch.nn.Module", "got NoneType"),
        ),
    ),
)
