"""The commands of this package, by name, with what they do; see `summaries.cli.commands`."""

COMMANDS = {
    "specialize": "trains an SVM per summary: a better classifier for the classes of some runs",
    "evaluate boost": "measures what a specialised network gains and harms, beside controls",
}
