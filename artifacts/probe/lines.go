package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// lines prints numbered lines as its pod's own output, one each interval, and stays until it is told to end: a
// pod that ended would be started again, and print them twice.
func lines(arguments []string) error {
	if len(arguments) < 1 || strings.HasPrefix(arguments[0], "-") {
		return fmt.Errorf("lines TEXT [--count N] [--interval D] [--pad N] [--pieces N]")
	}
	flags := flag.NewFlagSet("lines", flag.ContinueOnError)
	count := flags.Int("count", 1, "how many entries")
	interval := flags.Duration("interval", time.Second, "pause between two entries")
	pad := flags.Int("pad", 0, "bytes of filling behind each line")
	pieces := flags.Int("pieces", 1, "lines of each entry")
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	for number := 1; number <= *count; number++ {
		if _, err := io.WriteString(os.Stdout, entry(arguments[0], number, *pad, *pieces)); err != nil {
			return err
		}
		select {
		case <-ended:
			return nil
		case <-time.After(*interval):
		}
	}
	<-ended
	return nil
}

// entry is what is printed at once: TEXT NUMBER and its filling, then one indented line for each further piece.
func entry(text string, number, pad, pieces int) string {
	var made strings.Builder
	fmt.Fprintf(&made, "%s %d%s\n", text, number, filling(pad))
	for piece := 2; piece <= pieces; piece++ {
		fmt.Fprintf(&made, "  %s %d piece %d\n", text, number, piece)
	}
	return made.String()
}

// filling is a space and letters whose order shows what is missing: the position of each block of 16, in hex.
func filling(size int) string {
	if size == 0 {
		return ""
	}
	var made strings.Builder
	made.WriteByte(' ')
	for made.Len() < size {
		fmt.Fprintf(&made, "%016x", made.Len())
	}
	return made.String()[:size]
}
