// From a line of JSONL to what is stored: which field is the key, which the value, and everything
// that can be wrong with them.
//
// Thread safety: one thread.
#ifndef HEARTH_TOOLS_HEARTH_RECORD_PARSER_H_
#define HEARTH_TOOLS_HEARTH_RECORD_PARSER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "ipc/client/client.h"
#include "tools/hearth/json_scanner.h"

namespace hearth::cli {

// How records look. Plain form (no field named):
//   {"key": "...", "value": ANY, "ttl": "5m", "soft_ttl": "1m"}   or "value_base64": "..."
// in which any other field is a mistake. With fields named, records may have any other fields too,
// and neither "ttl" nor "value_base64" means anything.
//
// A value that is a JSON string is stored as its content, any other as its own JSON text, byte for
// byte as it stands in the line.
struct RecordForm {
  std::string key_field;    // empty: "key"
  std::string value_field;  // empty: "value", or the whole line when key_field is named
  std::string key_prefix;
  ipc::EntryTtl ttl;  // of records without their own
  std::uint64_t max_value_bytes = 0;

  bool plain() const { return key_field.empty() && value_field.empty(); }
};

struct ParsedRecord {
  std::string_view key;  // valid until the next Parse, and as long as the line
  std::string_view value;
  ipc::EntryTtl ttl;
};

struct Mistake {
  std::string reason;
  std::size_t column = 0;  // in bytes from 1; 0 = the record as a whole
};

class RecordParser {
 public:
  explicit RecordParser(RecordForm form);

  // `line` without its line end. False: `*mistake` says why.
  bool Parse(std::string_view line, ParsedRecord* record, Mistake* mistake);

 private:
  struct Fields;
  bool ReadFields(std::string_view line, Fields* fields, Mistake* mistake);
  bool Sort(std::string_view name, const JsonText& value, Fields* fields, Mistake* mistake) const;
  bool TakeKey(const Fields& fields, ParsedRecord* record, Mistake* mistake);
  bool TakeValue(std::string_view line, const Fields& fields, ParsedRecord* record,
                 Mistake* mistake);
  bool TakeTtl(const Fields& fields, ParsedRecord* record, Mistake* mistake) const;

  RecordForm form_;
  std::string_view key_name_;
  std::string_view value_name_;  // empty: the whole line
  std::string name_;             // decoded, where escapes make it necessary
  std::string key_;
  std::string value_;
};

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_RECORD_PARSER_H_
