// StoreService's namespaces: what the configuration declares, and what administrators change while
// it serves. The writer thread makes every change; others read names_ and the records' atomics.
#include <algorithm>
#include <utility>

#include "daemon/log.h"
#include "daemon/store_service.h"

namespace hearth::daemon {
namespace {

// Of one store in `hearth status`; `hearth namespace list` has them all.
constexpr std::size_t kReportedNamespaces = 256;

cache::NamespaceOptions OptionsFrom(const NamespaceConfig& config) {
  return {.hard_ttl_ms = config.hard_ttl_ms,
          .soft_ttl_ms = config.soft_ttl_ms,
          .quota_min_bytes = config.quota_min_bytes,
          .quota_max_bytes = config.quota_max_bytes,
          .evict = config.evict,
          .strict = config.strict,
          .tiny_lfu = config.tiny_lfu};
}

// `options` with those that `fields` names taken from `settings`.
cache::NamespaceOptions Altered(cache::NamespaceOptions options,
                                const ipc::NamespaceSettings& settings, std::uint32_t fields) {
  if ((fields & ipc::kFieldHardTtl) != 0) options.hard_ttl_ms = settings.hard_ttl_ms;
  if ((fields & ipc::kFieldSoftTtl) != 0) options.soft_ttl_ms = settings.soft_ttl_ms;
  if ((fields & ipc::kFieldQuotaMin) != 0) options.quota_min_bytes = settings.quota_min_bytes;
  if ((fields & ipc::kFieldQuotaMax) != 0) options.quota_max_bytes = settings.quota_max_bytes;
  if ((fields & ipc::kFieldRefuseWhenFull) != 0) options.evict = !settings.refuse_when_full;
  if ((fields & ipc::kFieldStrict) != 0) options.strict = settings.strict;
  if ((fields & ipc::kFieldTinyLfu) != 0) options.tiny_lfu = settings.tiny_lfu;
  return options;
}

}  // namespace

Status StoreService::DeclareNamespaces() {
  for (const NamespaceConfig& item : config_.namespaces) {
    const auto id = writer_->CreateNamespace(item.name, OptionsFrom(item));
    if (!id.ok()) return id.status();
    names_.Add(writer_->HandleOf(*id), item.name);
  }
  return Status::Ok();
}

ipc::NamespaceStatus StoreService::Describe(std::uint16_t id, std::string name) const {
  const cache::NamespaceOptions options = writer_->OptionsOf(id);
  return {.id = id,
          .name = std::move(name),
          .used_bytes = store_.view().namespace_record(id).used_bytes.LoadRelaxed(),
          .quota_max_bytes = options.quota_max_bytes,
          .hard_ttl_ms = options.hard_ttl_ms,
          .soft_ttl_ms = options.soft_ttl_ms,
          .evicts = options.evict,
          .strict = options.strict,
          .quota_min_bytes = options.quota_min_bytes,
          .tiny_lfu = options.tiny_lfu};
}

ipc::NamespaceList StoreService::ListNamespaces(std::uint16_t from_id) const {
  ipc::NamespaceList list;
  std::vector<NamespaceNames::Item> items = names_.List(from_id, ipc::kNamespacesPerList + 1);
  if (items.size() > ipc::kNamespacesPerList) {
    list.next_id = cache::NamespaceIdOf(items.back().handle);
    items.pop_back();
  }
  for (NamespaceNames::Item& item : items)
    list.namespaces.push_back(Describe(cache::NamespaceIdOf(item.handle), std::move(item.name)));
  return list;
}

void StoreService::ReportNamespaces(ipc::StoreStatus* report) const {
  std::vector<NamespaceNames::Item> items = names_.List(0, kReportedNamespaces);
  const std::size_t all = names_.size();
  for (NamespaceNames::Item& item : items)
    report->namespaces.push_back(Describe(cache::NamespaceIdOf(item.handle), std::move(item.name)));
  report->namespaces_omitted =
      static_cast<std::uint32_t>(all - std::min(all, report->namespaces.size()));
}

Result<ipc::NamespaceStatus> StoreService::Execute(const NamespaceRequest& request) {
  if (const auto* create = std::get_if<ipc::CreateNamespace>(&request)) {
    const std::string& name = create->settings.name;
    HEARTH_ASSIGN(
        const std::uint16_t id,
        writer_->CreateNamespace(name, Altered({}, create->settings, ipc::kAllNamespaceFields)));
    names_.Add(writer_->HandleOf(id), name);
    return Describe(id, name);
  }
  if (const auto* alter = std::get_if<ipc::AlterNamespace>(&request)) {
    if ((alter->fields & ~std::uint32_t{ipc::kAllNamespaceFields}) != 0)
      return Error(Code::kInvalidArgument, "this hearthd does not know all of the settings {:#x}",
                   alter->fields);
    HEARTH_ASSIGN(const std::uint16_t id, writer_->FindNamespace(alter->settings.name));
    HEARTH_TRY(writer_->AlterNamespace(
        id, Altered(writer_->OptionsOf(id), alter->settings, alter->fields)));
    return Describe(id, alter->settings.name);
  }
  if (const auto* drop = std::get_if<ipc::DropNamespace>(&request)) {
    HEARTH_ASSIGN(const std::uint16_t id, writer_->FindNamespace(drop->name));
    names_.Remove(drop->name);
    HEARTH_TRY(writer_->DropNamespace(id));
    return Describe(id, drop->name);
  }
  const std::string& name = std::get<ipc::FlushNamespace>(request).name;
  HEARTH_ASSIGN(const std::uint16_t id, writer_->FindNamespace(name));
  HEARTH_TRY(writer_->FlushNamespace(id));
  return Describe(id, name);
}

void StoreService::Administer(NamespaceRequest request, OnAdministered done) {
  Post({.add = nullptr,
        .remove = 0,
        .work = [this, request = std::move(request), done = std::move(done)] {
          done(Execute(request));
        }});
}

}  // namespace hearth::daemon
