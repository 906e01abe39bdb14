# want 5: Fine.Calls: interfaces are not supported; Hearth's messages carry data only
@0xe24bd03002e7b399;

struct Fine {
  interface Calls {
    call @0 ();
  }
}
