package speakerlist

import (
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"
)

// lanConfig is the list's own configuration for local networks with another interval between two probes,
// if PLUMBLINE_MEMBER_PROBE_MILLISECONDS gives one. Patience for an answer keeps its share of half an interval,
// and the time of suspicion is counted in intervals by the list itself.
func lanConfig() *memberlist.Config {
	config := memberlist.DefaultLANConfig()
	given, err := strconv.Atoi(os.Getenv("PLUMBLINE_MEMBER_PROBE_MILLISECONDS"))
	if err == nil && given > 0 {
		config.ProbeInterval = time.Duration(given) * time.Millisecond
		config.ProbeTimeout = config.ProbeInterval / 2
	}
	return config
}
