#include "tools/hearth/record_parser.h"

#include <utility>

#include <fmt/format.h>

#include "core/cache/format.h"
#include "tools/hearth/text.h"

namespace hearth::cli {
namespace {

constexpr std::string_view kKey = "key";
constexpr std::string_view kValue = "value";
constexpr std::string_view kValueBase64 = "value_base64";
constexpr std::string_view kTtl = "ttl";
constexpr std::string_view kSoftTtl = "soft_ttl";
constexpr std::string_view kLoneSurrogate = "a \\u escape that is half of a surrogate pair";

struct Field {
  JsonText text;
  bool present = false;
};

bool Reject(Mistake* mistake, std::string reason, std::size_t column = 0) {
  *mistake = {.reason = std::move(reason), .column = column};
  return false;
}

std::string_view TrimSpace(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

bool ReadTtl(const Field& field, std::string_view name, std::uint64_t* ms, Mistake* mistake) {
  if (!field.present) return true;
  if (field.text.kind != JsonKind::kString)
    return Reject(mistake, fmt::format("'{}' must be a duration in quotes, like \"5m\"", name));
  const auto ttl = ParseTtl(field.text.text);
  if (!ttl.ok()) return Reject(mistake, fmt::format("'{}': {}", name, ttl.status().message()));
  *ms = *ttl;
  return true;
}

}  // namespace

struct RecordParser::Fields {
  Field key;
  Field value;
  Field value_base64;
  Field ttl;
  Field soft_ttl;
};

RecordParser::RecordParser(RecordForm form) : form_(std::move(form)) {
  key_name_ = form_.key_field.empty() ? kKey : std::string_view(form_.key_field);
  if (!form_.value_field.empty()) {
    value_name_ = form_.value_field;
  } else if (form_.plain()) {
    value_name_ = kValue;
  }
}

bool RecordParser::Parse(std::string_view line, ParsedRecord* record, Mistake* mistake) {
  Fields fields;
  return ReadFields(line, &fields, mistake) && TakeKey(fields, record, mistake) &&
         TakeValue(line, fields, record, mistake) && TakeTtl(fields, record, mistake);
}

bool RecordParser::ReadFields(std::string_view line, Fields* fields, Mistake* mistake) {
  JsonScanner scanner(line);
  const auto broken = [&] {
    return Reject(mistake, std::string(scanner.error()), scanner.column());
  };
  if (!scanner.BeginObject()) return broken();
  while (true) {
    JsonText name;
    JsonText value;
    bool done = false;
    if (!scanner.NextMember(&name, &value, &done)) return broken();
    if (done) return true;
    std::string_view plain_name = name.text;
    if (name.has_escapes) {
      if (!DecodeJsonString(name.text, &name_))
        return Reject(mistake, std::string(kLoneSurrogate), scanner.column());
      plain_name = name_;
    }
    if (!Sort(plain_name, value, fields, mistake)) {
      if (mistake->column == 0)
        mistake->column = static_cast<std::size_t>(name.text.data() - line.data());
      return false;
    }
  }
}

bool RecordParser::Sort(std::string_view name, const JsonText& value, Fields* fields,
                        Mistake* mistake) const {
  const auto keep = [&](Field* field) {
    if (field->present) return Reject(mistake, fmt::format("the field '{}' is there twice", name));
    *field = {.text = value, .present = true};
    return true;
  };
  if (name == key_name_) {
    // The same field may serve as both.
    if (name == value_name_ && !keep(&fields->value)) return false;
    return keep(&fields->key);
  }
  if (!value_name_.empty() && name == value_name_) return keep(&fields->value);
  if (!form_.plain()) return true;
  if (name == kTtl) return keep(&fields->ttl);
  if (name == kSoftTtl) return keep(&fields->soft_ttl);
  if (name == kValueBase64) return keep(&fields->value_base64);
  return Reject(mistake,
                fmt::format("unknown field '{}' (records of another form need --key)", name));
}

bool RecordParser::TakeKey(const Fields& fields, ParsedRecord* record, Mistake* mistake) {
  const JsonText& text = fields.key.text;
  if (!fields.key.present) return Reject(mistake, fmt::format("no field '{}'", key_name_));
  const bool number = text.kind == JsonKind::kNumber && !form_.key_field.empty();
  if (text.kind != JsonKind::kString && !number)
    return Reject(mistake, fmt::format("'{}' must be a text{}", key_name_,
                                       form_.key_field.empty() ? "" : " or a number"));
  record->key = text.text;
  if (text.has_escapes) {
    if (!DecodeJsonString(text.text, &key_))
      return Reject(mistake, fmt::format("'{}': {}", key_name_, kLoneSurrogate));
    record->key = key_;
  }
  if (record->key.empty()) return Reject(mistake, "the key is empty");
  if (!form_.key_prefix.empty()) {
    if (text.has_escapes) {
      key_.insert(0, form_.key_prefix);
    } else {
      key_.assign(form_.key_prefix).append(record->key);
    }
    record->key = key_;
  }
  if (record->key.size() > cache::kMaxKeyBytes)
    return Reject(mistake, fmt::format("the key has {} bytes, at most {} are possible",
                                       record->key.size(), cache::kMaxKeyBytes));
  return true;
}

bool RecordParser::TakeValue(std::string_view line, const Fields& fields, ParsedRecord* record,
                             Mistake* mistake) {
  if (fields.value.present && fields.value_base64.present)
    return Reject(mistake, "both 'value' and 'value_base64'");
  if (fields.value_base64.present) {
    const JsonText& text = fields.value_base64.text;
    if (text.kind != JsonKind::kString || text.has_escapes || !DecodeBase64(text.text, &value_))
      return Reject(mistake, "'value_base64' is not base64 (RFC 4648, with padding)");
    record->value = value_;
  } else if (value_name_.empty()) {
    record->value = TrimSpace(line);
  } else if (!fields.value.present) {
    return Reject(mistake, fmt::format("no field '{}'", value_name_));
  } else {
    const JsonText& text = fields.value.text;
    record->value = text.text;
    if (text.has_escapes) {
      if (!DecodeJsonString(text.text, &value_))
        return Reject(mistake, fmt::format("'{}': {}", value_name_, kLoneSurrogate));
      record->value = value_;
    }
  }
  if (record->value.size() > form_.max_value_bytes)
    return Reject(mistake, fmt::format("the value has {} bytes, at most {} are possible",
                                       record->value.size(), form_.max_value_bytes));
  return true;
}

bool RecordParser::TakeTtl(const Fields& fields, ParsedRecord* record, Mistake* mistake) const {
  record->ttl = form_.ttl;
  if (!fields.ttl.present && !fields.soft_ttl.present) return true;
  if (!ReadTtl(fields.ttl, kTtl, &record->ttl.hard_ms, mistake) ||
      !ReadTtl(fields.soft_ttl, kSoftTtl, &record->ttl.soft_ms, mistake))
    return false;
  if (record->ttl.hard_ms != ipc::kTtlDefault && record->ttl.soft_ms != ipc::kTtlDefault &&
      record->ttl.soft_ms != ipc::kTtlNever && record->ttl.soft_ms > record->ttl.hard_ms)
    return Reject(mistake, "'soft_ttl' is longer than 'ttl'");
  return true;
}

}  // namespace hearth::cli
