"""Wrong calls in a shell: status 2 and one message, no traceback."""

from tests.misuse.case import Area, Case

COMMANDS = Area(
    "The command line",
    "",
    (
        Case(
            "A command that is none",
            "snl-graph spektrum karate",
            None,
            ("No such command 'spektrum'", "Did you mean 'spectrum'?"),
        ),
        Case(
            "A file that is not there",
            "snl-graph spectrum graph.graphml",
            None,
            ("there is no file graph.graphml",),
            "neurodata/m2g#125, Teakinboyewa/SpatialAnalysisAgent#25",
        ),
        Case(
            "No graph",
            "snl-graph spectrum",
            None,
            ("Missing argument 'SOURCE'",),
        ),
        Case(
            "No eigenvalues",
            "snl-graph spectrum karate -k 0",
            None,
            ("-k", "greater than or equal to 1"),
            elided=("Invalid value.*",),
        ),
        Case(
            "More eigenvalues than nodes",
            "snl-graph spectrum karate -k 35",
            None,
            ("how many of the 34 eigenvalues", "got 35"),
            "scipy#6430",
        ),
        Case(
            "A picture of unknown kind",
            "snl-graph spectrum karate --save picture.xyz",
            None,
            ("picture.xyz", "no kind that can be written", ".png"),
            "felixbur/nkululeko#151",
        ),
        Case(
            "A network that cannot be imported",
            "snl-graph check karate --model package:factory",
            None,
            ('there is no module "package"', "set PYTHONPATH"),
            "mmdet#10269, open-mmlab/mim-example#5",
            elided=(r"from \S+ or",),
        ),
        Case(
            "The response of nothing",
            "snl-graph response karate",
            None,
            ("whose response", "--filter NAME or --model"),
        ),
        Case(
            "The explorer without a network",
            "snl-graph explore photo.png",
            None,
            ("needs a network", "--model package:factory"),
        ),
        Case(
            "A recipe by a name that is none",
            "python -m models.train digit",
            None,
            ('unknown recipe "digit"', "Did you mean", "Choices:"),
        ),
        Case(
            "A block of a recipe by a name that is none",
            "python -m models.train digits --block nll",
            None,
            ('unknown block "nll"', 'Did you mean "nl"?'),
        ),
        Case(
            "An option of another program",
            "python -m models.train digits --lr 0.1",
            None,
            ('unknown option "lr"', "Choices:"),
            "lightning#20801",
        ),
        Case(
            "No epochs",
            "python -m models.train digits --epochs 0",
            None,
            ("epochs must be at least 1", "got 0"),
        ),
        Case(
            "A checkpoint that is not there",
            "python -m models.train digits --resume last.ckpt",
            None,
            ("no checkpoint at last.ckpt", "expected a file that models.train wrote"),
            "lightning#7072, konpatp/diffae#61",
        ),
        Case(
            "Data that are not there",
            "python -m models.train cifar10 --data nowhere",
            None,
            ("no CIFAR-10 at nowhere", "expected it to hold", "--data ROOT"),
            "huawei-noah/vega#50, ain-soph/trojanzoo#65",
        ),
        Case(
            "A prediction without a checkpoint",
            "python -m models.predict last.ckpt photo.png",
            None,
            ("no checkpoint at last.ckpt", "expected a file that models.train wrote"),
            "Deci-AI/super-gradients#1604",
        ),
    ),
)
