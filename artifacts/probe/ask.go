package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// bodyLimit is how much of an answer is kept, in bytes.
const bodyLimit = 64 << 10

// result is what one attempt gave.
type result struct {
	Target  string   `json:"target"`
	Attempt int      `json:"attempt"`
	Start   string   `json:"start"` // RFC 3339, UTC
	Millis  float64  `json:"ms"`
	Status  int      `json:"status,omitempty"`
	Body    string   `json:"body,omitempty"`
	Answers []string `json:"answers,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// pace is how often something is asked, and how long each answer may take.
type pace struct {
	count             int
	interval, timeout time.Duration
}

// parse reads flags and targets in any order; it ends the program when there is no target.
func parse(flags *flag.FlagSet, arguments []string) (pace, []string) {
	var p pace
	flags.IntVar(&p.count, "count", 1, "attempts for each target")
	flags.DurationVar(&p.interval, "interval", 0, "time from the start of an attempt to the next; 0: when it has ended")
	flags.DurationVar(&p.timeout, "timeout", 2*time.Second, "deadline of an attempt")
	var targets []string
	for len(arguments) > 0 {
		exitOn(flags.Parse(arguments))
		arguments = flags.Args()
		if len(arguments) > 0 {
			targets, arguments = append(targets, arguments[0]), arguments[1:]
		}
	}
	if len(targets) == 0 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	return p, targets
}

// each makes every attempt on every target and prints its result; the exit code is 1 if one failed.
//
// With an interval attempts start when it says: one that waits for its answer holds up none of the others.
func (p pace) each(targets []string, ask func(context.Context, string, *result) error) int {
	code := 0
	var printing sync.Mutex
	var asking sync.WaitGroup
	attempt := func(number int, target string) {
		begin := time.Now()
		got := result{Target: target, Attempt: number, Start: begin.UTC().Format(time.RFC3339Nano)}
		deadline, cancel := context.WithTimeout(context.Background(), p.timeout)
		err := ask(deadline, target, &got)
		cancel()
		got.Millis = float64(time.Since(begin).Microseconds()) / 1000
		printing.Lock()
		defer printing.Unlock()
		if err != nil {
			got.Error, code = err.Error(), 1
		}
		emit(got)
	}
	for number := 1; number <= p.count; number++ {
		started := time.Now()
		for _, target := range targets {
			if p.interval == 0 {
				attempt(number, target)
				continue
			}
			asking.Go(func() { attempt(number, target) })
		}
		if number < p.count {
			time.Sleep(time.Until(started.Add(p.interval)))
		}
	}
	asking.Wait()
	return code
}

// askHTTP asks URLs, each time over a new connection, so that every attempt is balanced anew. An answer
// with status 400 or more is a failure.
func askHTTP(arguments []string) int {
	flags := flag.NewFlagSet("http", flag.ExitOnError)
	host := flags.String("host", "", "Host header and TLS server name")
	insecure := flags.Bool("insecure", false, "take any certificate")
	p, targets := parse(flags, arguments)
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{ServerName: *host, InsecureSkipVerify: *insecure},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p.each(targets, func(ctx context.Context, target string, got *result) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return err
		}
		request.Host = *host
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
		got.Status, got.Body = response.StatusCode, string(body)
		if err == nil && response.StatusCode >= 400 {
			err = fmt.Errorf("status %d", response.StatusCode)
		}
		return err
	})
}

// askDNS resolves names with the pod's resolver, or with one server.
func askDNS(arguments []string) int {
	flags := flag.NewFlagSet("dns", flag.ExitOnError)
	server := flags.String("server", "", "name server, ADDRESS or ADDRESS:PORT")
	kind := flags.String("type", "A", "record type")
	p, targets := parse(flags, arguments)
	resolver := &net.Resolver{PreferGo: true}
	if *server != "" {
		address := *server
		if _, _, err := net.SplitHostPort(address); err != nil {
			address = net.JoinHostPort(strings.Trim(address, "[]"), "53")
		}
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
	}
	return p.each(targets, func(ctx context.Context, name string, got *result) error {
		var err error
		got.Answers, err = lookup(ctx, resolver, strings.ToUpper(*kind), name)
		return err
	})
}

func lookup(ctx context.Context, resolver *net.Resolver, kind, name string) ([]string, error) {
	var answers []string
	switch kind {
	case "A", "AAAA":
		network := map[string]string{"A": "ip4", "AAAA": "ip6"}[kind]
		addresses, err := resolver.LookupIP(ctx, network, name)
		for _, address := range addresses {
			answers = append(answers, address.String())
		}
		return answers, err
	case "SRV":
		_, records, err := resolver.LookupSRV(ctx, "", "", name)
		for _, record := range records {
			answers = append(answers, fmt.Sprintf("%s:%d", record.Target, record.Port))
		}
		return answers, err
	case "PTR":
		return resolver.LookupAddr(ctx, name)
	case "CNAME":
		answer, err := resolver.LookupCNAME(ctx, name)
		return []string{answer}, err
	}
	return nil, fmt.Errorf("type %s is not one of A, AAAA, SRV, PTR, CNAME", kind)
}

// askUDP sends a datagram and waits for the echo.
func askUDP(arguments []string) int {
	p, targets := parse(flag.NewFlagSet("udp", flag.ExitOnError), arguments)
	return p.each(targets, func(ctx context.Context, target string, got *result) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "udp", target)
		if err != nil {
			return err
		}
		defer connection.Close()
		deadline, _ := ctx.Deadline()
		if err := connection.SetDeadline(deadline); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(connection, "probe %d", got.Attempt); err != nil {
			return err
		}
		buffer := make([]byte, 2048)
		size, err := connection.Read(buffer)
		got.Body = string(buffer[:size])
		return err
	})
}
