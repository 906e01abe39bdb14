# The constants of the corpus. They are in a file of their own because the C++ generator cannot
# write all of them; it also makes a package of two files.
@0xd207ac86fdf3eca6;

using Go = import "/ipc/go.capnp";
using Corpus = import "corpus.capnp";
$Go.package("corpus");
$Go.import("github.com/hearthd/hearth/go-binding/wire/internal/corpus");

const maxEntries :UInt32 = 4096;
# The largest number of entries
#
# that anything may have:
# - in a request
# * in a response, whose
#   second line this is
#
# 1. not a numbered list
#
#     code { that stays }
#       indented
# [link]: text, not a link definition
#
# Not a heading
#
# The end

const smallest :Int64 = -0x8000000000000000;
const half :Float32 = 0.5;
const endless :Float64 = inf;
const enabled :Bool = true;
const greeting :Text = "héllo \"there\"\n\t\\";
const magic :Data = 0x"00 ff 22 5c 41";
const favourite :Corpus.Color = blue;
const negativeZero :Float64 = -0.0;
const tenth :Float64 = 0.1;
