//go:build tools

// Package tools names the program that this module builds, so that go.mod keeps its version.
package tools

import _ "github.com/coredns/coredns"
