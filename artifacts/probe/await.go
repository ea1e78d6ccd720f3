package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"time"
)

const (
	// lookEvery is the pause between two looks; a machine that comes back waits for nothing else.
	lookEvery = 200 * time.Millisecond
	// dialLimit is how long one connection may take.
	dialLimit = 500 * time.Millisecond
)

// await returns as soon as every target takes a connection and the link is there. It says what it waits for
// whenever that changes; the exit code is 1 when the limit has passed.
func await(arguments []string) int {
	flags := flag.NewFlagSet("await", flag.ExitOnError)
	link := flags.String("link", "", "network link that must be there")
	limit := flags.Duration("limit", 5*time.Minute, "time after which it gives up")
	exitOn(flags.Parse(arguments))
	if *link == "" && flags.NArg() == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	begun, said := time.Now(), ""
	for {
		missing := absent(*link, flags.Args())
		if missing == "" {
			return 0
		}
		if missing != said {
			fmt.Fprintln(os.Stderr, "probe: waiting for", missing)
			said = missing
		}
		if time.Since(begun) > *limit {
			fmt.Fprintf(os.Stderr, "probe: gave up after %s\n", *limit)
			return 1
		}
		time.Sleep(lookEvery)
	}
}

// absent names the first thing that is not there yet, "" when all are.
func absent(link string, targets []string) string {
	if link != "" {
		if _, err := net.InterfaceByName(link); err != nil {
			return "link " + link
		}
	}
	for _, target := range targets {
		connection, err := net.DialTimeout("tcp", target, dialLimit)
		if err != nil {
			return target
		}
		connection.Close()
	}
	return ""
}
