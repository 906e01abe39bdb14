#include "tools/capnpc-hearth-go/request.h"

#include <utility>

#include <fmt/format.h>

namespace hearth::capnpgo {
namespace {

using capnp::schema::Node;

// The ids of the annotations in ipc/go.capnp.
constexpr std::uint64_t kPackageAnnotation = 0xf40945588412f73e;
constexpr std::uint64_t kImportAnnotation = 0x9f36cb341cf95e8d;

std::string ShortName(Node::Reader node) {
  return std::string(node.getDisplayName().cStr() + node.getDisplayNamePrefixLength());
}

}  // namespace

std::string Problem::ToString() const {
  if (line == 0) return fmt::format("{}: {}", file, message);
  return fmt::format("{}:{}: {}", file, line, message);
}

Request::Request(capnp::schema::CodeGeneratorRequest::Reader request) {
  for (auto node : request.getNodes()) loader_.load(node);
  for (auto info : request.getSourceInfo()) source_infos_.emplace(info.getId(), info);
  for (auto file : request.getRequestedFiles()) requested_files_.push_back(file.getId());
  CheckPackages();
}

// Package names must be usable, and one import path must mean one package name.
void Request::CheckPackages() {
  std::map<std::string, std::string> packages;
  std::map<std::string, std::string> outputs;
  for (std::uint64_t id : requested_files_) {
    const SchemaFile& file = FileOf(id);
    if (!IsPackageName(file.package)) {
      Report(id, "",
             fmt::format("'{}' cannot be a Go package name; choose one with "
                         "$Go.package(\"...\") of /ipc/go.capnp",
                         file.package));
    }
    if (auto [entry, fresh] = outputs.emplace(FileStem(file.path), file.path); !fresh) {
      Report(id, "",
             fmt::format("would write the same file as {}; generate it separately or "
                         "rename it",
                         entry->second));
    }
    if (file.import_path.empty()) continue;
    if (auto [entry, fresh] = packages.emplace(file.import_path, file.package);
        !fresh && entry->second != file.package) {
      Report(id, "",
             fmt::format("another file calls package \"{}\" '{}', this one '{}'; use one "
                         "name",
                         file.import_path, entry->second, file.package));
    }
  }
}

Node::Reader Request::Node(std::uint64_t id) const { return loader_.get(id).getProto(); }

std::uint64_t Request::FileIdOf(std::uint64_t id) const {
  auto node = Node(id);
  while (!node.isFile()) node = Node(node.getScopeId());
  return node.getId();
}

const SchemaFile& Request::FileOf(std::uint64_t id) {
  const std::uint64_t file_id = FileIdOf(id);
  auto [entry, fresh] = files_.try_emplace(file_id);
  SchemaFile& file = entry->second;
  if (!fresh) return file;
  auto node = Node(file_id);
  file.id = file_id;
  file.path = node.getDisplayName().cStr();
  file.package = DefaultPackageName(file.path);
  for (auto annotation : node.getAnnotations()) {
    if (annotation.getId() == kPackageAnnotation) {
      file.package = annotation.getValue().getText().cStr();
    } else if (annotation.getId() == kImportAnnotation) {
      file.import_path = annotation.getValue().getText().cStr();
    }
  }
  return file;
}

std::string Request::PathOf(std::uint64_t id) const {
  auto node = Node(id);
  std::string path;
  for (; !node.isFile(); node = Node(node.getScopeId())) {
    path = path.empty() ? ShortName(node) : ShortName(node) + "." + path;
  }
  return path;
}

std::string Request::GoNameOf(std::uint64_t id) const {
  std::string name;
  for (auto node = Node(id); !node.isFile(); node = Node(node.getScopeId())) {
    name.insert(0, ExportedName(ShortName(node)));
  }
  return name;
}

std::string Request::DocOf(std::uint64_t id) const {
  const auto found = source_infos_.find(id);
  return found == source_infos_.end() ? "" : std::string(found->second.getDocComment().cStr());
}

std::string Request::MemberDocOf(std::uint64_t id, std::size_t member) const {
  const auto found = source_infos_.find(id);
  if (found == source_infos_.end() || member >= found->second.getMembers().size()) return "";
  const auto index = static_cast<unsigned>(member);
  return found->second.getMembers()[index].getDocComment().cStr();
}

void Request::Report(std::uint64_t id, const std::string& member, std::string message) {
  const SchemaFile& file = FileOf(id);
  auto [index, fresh] = indexes_.try_emplace(file.id);
  if (fresh) index->second = IndexFile(file.path);
  std::string path = PathOf(id);
  if (!member.empty()) path += "." + member;
  const int line = path.empty() ? 1 : index->second.Line(path);
  if (!path.empty()) path += ": ";
  Problem problem{file.path, line, path + std::move(message)};
  for (const Problem& other : problems_) {
    if (other.ToString() == problem.ToString()) return;
  }
  problems_.push_back(std::move(problem));
}

void Request::ReportCollision(std::uint64_t id, const std::string& member, const std::string& name,
                              const std::string& owner) {
  if (!collided_.emplace(id, member).second) return;
  Report(
      id, member,
      fmt::format("the Go name '{}' is already generated for {}; rename one of them", name, owner));
}

void Request::TakePackageName(std::uint64_t id, const std::string& member,
                              const std::string& name) {
  const SchemaFile& file = FileOf(id);
  const std::string path = PathOf(id);
  const std::string owner =
      fmt::format("{} in {}", member.empty() ? path : path + "." + member, file.path);
  const std::string key = file.import_path.empty() ? file.package : file.import_path;
  const std::string other = packages_[key].Take(name, owner);
  if (!other.empty()) ReportCollision(id, member, name, other);
}

}  // namespace hearth::capnpgo
