package control

import (
	"context"

	"github.com/hearthd/hearth/go-binding/internal/controlwire"
)

// NamespaceSettings of the protocol.
type NamespaceSettings struct {
	Name                         string
	HardTTLMs, SoftTTLMs         uint64
	QuotaMinBytes, QuotaMaxBytes uint64
	RefuseWhenFull, Strict       bool
	TinyLFU                      bool
}

// Which settings AlterNamespace changes: the fields of the schema's NamespaceSettings by number.
const (
	FieldHardTTL = 1 << (iota + 1)
	FieldSoftTTL
	FieldQuotaMin
	FieldQuotaMax
	FieldRefuseWhenFull
	FieldStrict
	FieldTinyLFU
)

func (s *NamespaceSettings) write(to controlwire.NamespaceSettingsBuilder) {
	to.SetName(s.Name)
	to.SetHardTtlMs(s.HardTTLMs)
	to.SetSoftTtlMs(s.SoftTTLMs)
	to.SetQuotaMinBytes(s.QuotaMinBytes)
	to.SetQuotaMaxBytes(s.QuotaMaxBytes)
	to.SetRefuseWhenFull(s.RefuseWhenFull)
	to.SetStrict(s.Strict)
	to.SetTinyLfu(s.TinyLFU)
}

func writeCreateNamespace(s *NamespaceSettings) func(controlwire.ClientMessageBuilder) {
	return func(m controlwire.ClientMessageBuilder) { s.write(m.NewCreateNamespace()) }
}

func writeAlterNamespace(s *NamespaceSettings, fields uint32) func(controlwire.ClientMessageBuilder) {
	return func(m controlwire.ClientMessageBuilder) {
		alter := m.NewAlterNamespace()
		s.write(alter.NewSettings())
		alter.SetFields(fields)
	}
}

func writeDropNamespace(name string) func(controlwire.ClientMessageBuilder) {
	return func(m controlwire.ClientMessageBuilder) { m.NewDropNamespace().SetName(name) }
}

func writeFlushNamespace(name string) func(controlwire.ClientMessageBuilder) {
	return func(m controlwire.ClientMessageBuilder) { m.NewFlushNamespace().SetName(name) }
}

// CreateNamespace makes a namespace.
func (c *Conn) CreateNamespace(ctx context.Context, s *NamespaceSettings) error {
	_, err := c.ask(ctx, writeCreateNamespace(s))
	return err
}

// AlterNamespace changes those settings of a namespace that fields names.
func (c *Conn) AlterNamespace(ctx context.Context, s *NamespaceSettings, fields uint32) error {
	_, err := c.ask(ctx, writeAlterNamespace(s, fields))
	return err
}

// DropNamespace removes a namespace.
func (c *Conn) DropNamespace(ctx context.Context, name string) error {
	_, err := c.ask(ctx, writeDropNamespace(name))
	return err
}

// FlushNamespace removes everything in a namespace.
func (c *Conn) FlushNamespace(ctx context.Context, name string) error {
	_, err := c.ask(ctx, writeFlushNamespace(name))
	return err
}
