// Command probe is the acceptance suite's foothold inside a cluster: an echo server that says which pod
// answered, and clients that say how long an answer took. Every result is one line of JSON. It also holds an
// add-on back until its node can forward packets (await), makes a folder of a node a pod's own (own), and prints
// numbered lines for checks of logs (lines).
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

const usage = `usage:
  probe serve [--http PORT]... [--udp PORT]...        answer with who and where this pod is
  probe http URL... [--count N] [--interval D] [--timeout D] [--host NAME] [--insecure]
  probe dns NAME... [--server ADDRESS] [--type A|AAAA|SRV|PTR|CNAME] [--count N] [--interval D] [--timeout D]
  probe udp HOST:PORT... [--count N] [--interval D] [--timeout D]
  probe await [--link NAME] [--limit D] [HOST:PORT...]   end when the link is there and all take a connection
  probe own UID:GID FOLDER...                            give folders to a user, unless they are his
  probe lines TEXT [--count N] [--interval D] [--pad N] [--pieces N]   print TEXT 1, TEXT 2 ..., then stay

Clients exit with 1 when any attempt failed, 2 when the arguments are wrong.
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	arguments := os.Args[2:]
	switch os.Args[1] {
	case "serve":
		exitOn(serve(arguments))
	case "http":
		os.Exit(askHTTP(arguments))
	case "dns":
		os.Exit(askDNS(arguments))
	case "udp":
		os.Exit(askUDP(arguments))
	case "await":
		os.Exit(await(arguments))
	case "own":
		exitOn(own(arguments))
	case "lines":
		exitOn(lines(arguments))
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

// emit writes one line of JSON.
func emit(value any) {
	exitOn(json.NewEncoder(os.Stdout).Encode(value))
}
