package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// Machine describes where and when a run took place.
type Machine struct {
	Date        string  `json:"date"` // UTC
	Revision    string  `json:"revision"`
	CPU         string  `json:"cpu"`
	CPUs        int     `json:"cpus"`
	GOMAXPROCS  int     `json:"gomaxprocs"`
	Kernel      string  `json:"kernel"`
	Virtual     bool    `json:"virtual"`
	Clocksource string  `json:"clocksource"`
	ClockNs     float64 `json:"clockNs"` // what reading the clock costs
	IdleDriver  string  `json:"idleDriver"`
	MemoryGiB   float64 `json:"memoryGiB"`
	Go          string  `json:"go"`
	Compiler    string  `json:"compiler"`
	Redis       string  `json:"redis,omitempty"`
	Memcached   string  `json:"memcached,omitempty"`
	// OthersPercent of all CPU time went to processes that are not the benchmark's; StolenPercent was
	// not given to this machine by its host. Small numbers mean that the run can be trusted.
	OthersPercent float64 `json:"othersPercent"`
	StolenPercent float64 `json:"stolenPercent"`
}

func describeMachine(root, compiler string) Machine {
	m := Machine{
		Date:        time.Now().UTC().Format("2006-01-02 15:04"),
		Revision:    firstLine("git", "-C", root, "describe", "--always", "--dirty"),
		CPU:         fieldOf("/proc/cpuinfo", "model name"),
		CPUs:        runtime.NumCPU(),
		GOMAXPROCS:  runtime.GOMAXPROCS(0),
		Kernel:      trimmed("/proc/sys/kernel/osrelease"),
		Virtual:     strings.Contains(fieldOf("/proc/cpuinfo", "flags")+" ", " hypervisor "),
		Clocksource: trimmed("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
		ClockNs:     clockCost(),
		IdleDriver:  trimmed("/sys/devices/system/cpu/cpuidle/current_driver"),
		Go:          runtime.Version(),
		Compiler:    compiler,
		Redis:       firstLine("redis-server", "--version"),
		Memcached:   firstLine("memcached", "--version"),
	}
	kib, _ := strconv.ParseFloat(strings.TrimSuffix(fieldOf("/proc/meminfo", "MemTotal"), " kB"), 64)
	m.MemoryGiB = kib / (1 << 20)
	return m
}

func clockCost() float64 {
	const reads = 200_000
	start := time.Now()
	for range reads {
		_ = time.Now()
	}
	return float64(time.Since(start)) / reads
}

func trimmed(path string) string {
	text, _ := os.ReadFile(path)
	return strings.TrimSpace(string(text))
}

// fieldOf returns what follows "name:" in the first such line of a file.
func fieldOf(path, name string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func firstLine(command ...string) string {
	output, err := exec.Command(command[0], command[1:]...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := bytes.Cut(output, []byte("\n"))
	return string(line)
}

// cpuTimes is what /proc/stat says of the whole machine.
type cpuTimes struct{ all, busy, stolen time.Duration }

const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux

func readCPUTimes() cpuTimes {
	var t cpuTimes
	file, err := os.Open("/proc/stat")
	if err != nil {
		return t
	}
	defer file.Close()
	line, _ := bufio.NewReader(file).ReadString('\n')
	// user nice system idle iowait irq softirq steal; the guests' time is part of user.
	for i, field := range strings.Fields(line)[1:9] {
		n, _ := strconv.ParseInt(field, 10, 64)
		t.all += time.Duration(n) * tick
		switch i {
		case 3, 4:
		case 7:
			t.stolen += time.Duration(n) * tick
		default:
			t.busy += time.Duration(n) * tick
		}
	}
	return t
}

// sinceStart fills in how busy others kept the machine. Every process of ours has ended.
func (m *Machine) sinceStart(start cpuTimes) {
	now := readCPUTimes()
	all := float64(now.all - start.all)
	if all <= 0 {
		return
	}
	var own time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if syscall.Getrusage(who, &usage) == nil {
			own += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		}
	}
	m.OthersPercent = max(0, 100*float64(now.busy-start.busy-own)/all)
	m.StolenPercent = 100 * float64(now.stolen-start.stolen) / all
}

// processCPU is the CPU time of a process and all its threads, those that ended included.
func processCPU(pid int) (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED: exact, not counted in ticks
	clock := uintptr(uint32(int32(^pid)<<3 | scheduler))
	var ts syscall.Timespec
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0)
	if errno != 0 {
		return 0, os.NewSyscallError("clock_gettime", errno)
	}
	return time.Duration(ts.Nano()), nil
}

// anonymousKiB is the memory that a process has for itself.
func anonymousKiB(pid int) float64 {
	text := fieldOf("/proc/"+strconv.Itoa(pid)+"/status", "RssAnon")
	kib, _ := strconv.ParseFloat(strings.TrimSuffix(text, " kB"), 64)
	return kib
}

// mappedKiB is the size of what a process has mapped under names that contain that text. For
// hearthd's memory files that is what they take, because it allocates them as a whole.
func mappedKiB(pid int, name string) float64 {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/maps")
	var bytes uint64
	for line := range strings.Lines(string(text)) {
		var from, to uint64
		if strings.Contains(line, name) {
			if n, _ := fmt.Sscanf(line, "%x-%x", &from, &to); n == 2 {
				bytes += to - from
			}
		}
	}
	return float64(bytes) / 1024
}
