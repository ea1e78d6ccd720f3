//go:build builtinassets

package ui

import "embed"

// EmbedFS holds what is served below /static: one page of Plumbline's, under every address of a page.
//
//go:embed static
var EmbedFS embed.FS
