// Package ext is where a commercial edition adds fields to the dynamic configuration. There are none here;
// the original is a module of its own inside the source repository and not published.
package ext

// HTTP has no further fields.
type HTTP struct{}

// Router has no further fields.
type Router struct{}
