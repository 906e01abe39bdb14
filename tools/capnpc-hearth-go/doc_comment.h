// Go doc comments from schema doc comments.
#ifndef HEARTH_TOOLS_CAPNPC_HEARTH_GO_DOC_COMMENT_H_
#define HEARTH_TOOLS_CAPNPC_HEARTH_GO_DOC_COMMENT_H_

#include <string>
#include <string_view>

namespace hearth::capnpgo {

// A Go comment, each line with `indent` tabs before it and a newline after it: the sentence
// `summary` and, after an empty line, the schema's `doc` (which may be empty).
//
// The result is in the form that gofmt leaves alone (https://go.dev/doc/comment). Paragraphs keep
// their line breaks, items that begin with "- " or "* " become lists, indented lines become code
// blocks. What Go would take for a heading, a numbered list or a link definition is kept as text.
std::string DocComment(int indent, std::string_view summary, std::string_view doc);

}  // namespace hearth::capnpgo

#endif  // HEARTH_TOOLS_CAPNPC_HEARTH_GO_DOC_COMMENT_H_
