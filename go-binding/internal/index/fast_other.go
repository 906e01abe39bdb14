//go:build !amd64 || race

package index

const straightInAssembly = false

func lookupShortKey(*Store, *Namespace, string, uint64, []byte, *Meta) int { return notInAssembly }
func lookupAssembly(*Store, *Namespace, string, uint64, []byte, *Meta) int { return notInAssembly }
