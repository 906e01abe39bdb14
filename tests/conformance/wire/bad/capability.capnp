# want 7: Calls: interfaces are not supported
# want 10: Holder.calls: capabilities are not supported; Hearth's messages carry data only
# want 11: Holder.any: capabilities are not supported
# want 12: Holder.many: capabilities are not supported
@0x8e7f9f87b8098846;

interface Calls {}

struct Holder {
  calls @0 :Calls;
  any @1 :Capability;
  many @2 :List(Calls);
}
